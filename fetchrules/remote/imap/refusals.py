"""What a NO, BAD or BYE means. Its response code decides (RFC 5530), then the table of known texts; other words never do."""

import re

from fetchrules.errors import FetchError, MailboxBusy, OverLimit, ServerRefused, ServerTemporary, TlsRequired
from fetchrules.remote.known_texts import softened

_CODE = re.compile(r"\[([A-Za-z0-9.-]+)(?: [^\]]*)?\]")

_MEANINGS: dict[str, type[FetchError]] = {
    "UNAVAILABLE": ServerTemporary,
    "LIMIT": OverLimit,
    "OVERQUOTA": OverLimit,
    "THROTTLED": OverLimit,
    "INUSE": MailboxBusy,
    "SERVERBUG": ServerRefused,
    "PRIVACYREQUIRED": TlsRequired,
}


def refusal(words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative answer stands for: `otherwise` unless its code, or a known text, knows better."""
    found = _CODE.match(words)
    meaning = _MEANINGS.get(found[1].upper() if found else "")
    return (meaning or softened(words) or otherwise)(words)


def is_limit(error: FetchError | None) -> bool:
    """Whether the server would now refuse any letter, so that none is to blame."""
    return isinstance(error, OverLimit | ServerTemporary | MailboxBusy)
