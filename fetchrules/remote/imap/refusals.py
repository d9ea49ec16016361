"""What a NO or BYE means. Its response code decides (RFC 5530), never its words."""

import re

from fetchrules.errors import FetchError, MailboxBusy, ServerRefused, ServerTemporary, TlsRequired

_CODE = re.compile(r"\[([A-Za-z0-9.-]+)(?: [^\]]*)?\]")

_MEANINGS: dict[str, type[FetchError]] = {
    "UNAVAILABLE": ServerTemporary,
    "LIMIT": ServerTemporary,
    "INUSE": MailboxBusy,
    "SERVERBUG": ServerRefused,
    "OVERQUOTA": ServerRefused,
    "PRIVACYREQUIRED": TlsRequired,
}


def refusal(words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative answer stands for: `otherwise` unless its code knows better."""
    found = _CODE.match(words)
    return _MEANINGS.get(found[1].upper() if found else "", otherwise)(words)
