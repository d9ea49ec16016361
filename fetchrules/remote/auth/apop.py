"""APOP of POP3 (RFC 1939 section 7): a digest of the timestamp in the greeting and the password."""

import re
from hashlib import md5

from fetchrules.remote.auth.credentials import Password

# "The syntax of the timestamp corresponds to the `msg-id' in [RFC822], and MUST be different each time the POP3 server issues a
# banner greeting." Anything else may be a challenge made for finding collisions of MD5, and with them the password
# (CVE-2007-1558), so it is none.
_TIMESTAMP = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,250}@[A-Za-z0-9.:_\[\]-]{1,250}>")


def timestamp(greeting: str) -> str | None:
    """The timestamp in a greeting, by which a server offers APOP."""
    found = _TIMESTAMP.search(greeting)
    return found[0] if found else None


def digest(timestamp: str, password: Password) -> str:
    """The second argument of APOP."""
    return md5((timestamp + password.secret).encode(), usedforsecurity=False).hexdigest()
