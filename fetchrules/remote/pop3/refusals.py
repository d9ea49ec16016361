"""What an -ERR means. Its response code decides (RFC 2449 section 8, RFC 3206); its words are for people, and only a few
known ones may soften an error.
"""

from fetchrules.errors import FetchError, LoginDelay, MailboxBusy, OverLimit, ServerRefused, ServerTemporary
from fetchrules.remote.known_texts import softened
from fetchrules.remote.pop3.grammar import StatusLine


def refusal(line: StatusLine, words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative reply stands for.

    `otherwise` unless its code, or a known text, knows better. `words` is what people are shown.
    """
    match line.code.split("/"):
        case ["IN-USE", *_]:
            return MailboxBusy(words)
        case ["LOGIN-DELAY", *_]:
            return LoginDelay(words)
        case ["SYS", "TEMP", *_]:
            return ServerTemporary(words)
        case ["SYS", *_]:
            return ServerRefused(words)
        case ["LIMIT" | "OVERQUOTA", *_]:  # IMAP's (RFC 5530); a server that speaks both protocols may mix them up
            return OverLimit(words)
        case ["AUTH", *_]:
            return otherwise(words)
        case _:
            return (softened(line.text) or otherwise)(words)


def is_limited(line: StatusLine) -> bool:
    """Whether a negative reply to a command about one letter speaks of the server or the whole mailbox: busy, over a limit."""
    return not isinstance(refusal(line, "", ServerRefused), ServerRefused)
