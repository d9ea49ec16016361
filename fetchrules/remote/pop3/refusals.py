"""What an -ERR means. Its response code decides (RFC 2449 section 8, RFC 3206); its words never do, they are for
people.
"""

from fetchrules.errors import FetchError, LoginDelay, MailboxBusy, ServerRefused, ServerTemporary
from fetchrules.remote.pop3.grammar import StatusLine


def refusal(line: StatusLine, words: str, otherwise: type[FetchError]) -> FetchError:
    """The error that a negative reply stands for.

    `otherwise` unless its code knows better. `words` is what people are shown.
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
        case _:
            return otherwise(words)
