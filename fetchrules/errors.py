"""What can go wrong in a poll, as a small family in which every member answers: what happens next?

An error carries a stable `code` (for the panel, the journal and the commands' JSON; the words in Russian and English live in
`fetchrules.words`) and a `detail`: what the server or the system said, which is data and never decides anything.
"""

from enum import Enum
from typing import ClassVar
from unicodedata import category

MAX_DETAIL = 200
"""Characters kept of what a server or the system said."""


class Retry(Enum):
    """When the next attempt makes sense."""

    SOON = "soon"
    """A fault of the network: a short back-off."""
    LATER = "later"
    """The server is busy, asks to wait, or answers nonsense: a long back-off."""
    IF_IT_LASTS = "if_it_lasts"
    """As LATER at first, for it may be the server's bad minute; what has lasted waits for a human."""
    AFTER_EDIT = "after_edit"
    """The rule's own words make it impossible: a human has to change something."""
    OURS = "ours"
    """A fault of this machine: a short back-off, and two minutes at most, so that mail flows again as soon as it is mended."""
    AS_USUAL = "as_usual"
    """Only letters are at fault: the mailbox is polled at its usual interval."""


class FetchError(Exception):
    """A poll, or one step of it, did not succeed. Subclasses say what happened."""

    retry: ClassVar[Retry] = Retry.LATER
    code: ClassVar[str] = "failed"

    def __init__(self, detail: str = "") -> None:
        self.detail = printable(detail)
        super().__init__(f"{self.code}: {self.detail}" if self.detail else self.code)


class HostNotFound(FetchError):
    """The name has no address (or the resolver did not answer)."""

    retry, code = Retry.SOON, "host_not_found"


class ConnectFailed(FetchError):
    """No connection: refused, unreachable, no route."""

    retry, code = Retry.SOON, "connect_failed"


class TargetForbidden(FetchError):
    """The address or port is one that this rule may not connect to. Told by nothing, its next poll neither, from HostNotFound."""

    retry, code = Retry.SOON, "target_forbidden"


class TimedOut(FetchError):
    """A deadline passed: connecting, waiting for an answer, or the whole session."""

    retry, code = Retry.SOON, "timed_out"


class ConnectionLost(FetchError):
    """The peer closed or reset the connection before the session was over."""

    retry, code = Retry.SOON, "connection_lost"


class TlsFailed(FetchError):
    """The TLS handshake failed for a reason other than the certificate."""

    retry, code = Retry.LATER, "tls_failed"


class TlsUnavailable(FetchError):
    """TLS was demanded, or was seen here before, and the server does not offer it: nothing was sent."""

    retry, code = Retry.LATER, "tls_unavailable"


class TlsRequired(FetchError):
    """The server lets nobody log in on this connection without TLS, and the rule asked for none: no password was sent."""

    retry, code = Retry.LATER, "tls_required"


class CertificateRejected(FetchError):
    """The certificate does not verify (expired, unknown issuer, another host's). Nothing secret was said; it may verify later."""

    retry, code = Retry.LATER, "certificate_rejected"


class CertificateChanged(FetchError):
    """The certificate is not the one that the rule pins."""

    retry, code = Retry.AFTER_EDIT, "certificate_changed"


class LoginRefused(FetchError):
    """The server refused user and password."""

    retry, code = Retry.IF_IT_LASTS, "login_refused"


class MailboxBusy(FetchError):
    """Another session holds the mailbox (RFC 2449 [IN-USE])."""

    retry, code = Retry.LATER, "mailbox_busy"


class LoginDelay(FetchError):
    """The server asks for more time between logins (RFC 2449 [LOGIN-DELAY])."""

    retry, code = Retry.LATER, "login_delay"


class ServerTemporary(FetchError):
    """The server says that it has a temporary fault (RFC 3206 [SYS/TEMP])."""

    retry, code = Retry.LATER, "server_temporary"


class OverLimit(FetchError):
    """The server gives no more letters for now: a quota of its own, on traffic or commands, is used up."""

    retry, code = Retry.LATER, "over_limit"


class ServerRefused(FetchError):
    """The server answered a command with an error and gave no usable reason."""

    retry, code = Retry.LATER, "server_refused"


class RemoteProtocolError(FetchError):
    """The server broke the protocol: their fault, and nothing it said after that is trusted."""

    retry, code = Retry.LATER, "protocol_error"


class NoUniqueIds(FetchError):
    """The rule keeps mail on a server that cannot name letters (no UIDL): they could not be told apart."""

    retry, code = Retry.IF_IT_LASTS, "no_unique_ids"


class PassPresentRefused(FetchError):
    """Letters were to count as collected, but the rule deletes its mail, or the server's marks decide what is seen."""

    retry, code = Retry.AFTER_EDIT, "pass_present_refused"


class CameShort(FetchError):
    """A letter ended properly, but far shorter than the server had said."""

    retry, code = Retry.AS_USUAL, "came_short"


class DeletionFailed(FetchError):
    """The session broke when this letter's deletion was asked for."""

    retry, code = Retry.AS_USUAL, "deletion_failed"


class NothingCame(FetchError):
    """There were letters to fetch and none of them came; each says why among the problem letters."""

    retry, code = Retry.AS_USUAL, "nothing_came"


class OwnerGone(FetchError):
    """Nobody answers for the rule: its owner's account was deleted or deactivated, and nobody has taken it over."""

    retry, code = Retry.AFTER_EDIT, "owner_gone"


class PasswordUnreadable(FetchError):
    """The stored password does not open: it was sealed for another mailbox, or is damaged."""

    retry, code = Retry.AFTER_EDIT, "password_unreadable"


class KeyMissing(PasswordUnreadable):
    """The key that the stored password was sealed with is not at hand; it may come back."""

    retry, code = Retry.OURS, "key_missing"


class PasswordMissing(PasswordUnreadable):
    """There is no password: the key that it was sealed with was given up as lost."""

    retry, code = Retry.AFTER_EDIT, "password_missing"


class DeliveryFailed(FetchError):
    """The local mailbox cannot take the letter now; it stays on the server."""

    retry, code = Retry.OURS, "delivery_failed"


class DeliveryRefused(DeliveryFailed):
    """The local mail server will not take this letter, and repeating it as it is would not help (a reply of 5xx)."""

    retry, code = Retry.LATER, "delivery_refused"


class RecipientUnknown(DeliveryRefused):
    """The local mail server has no mailbox for the recipient: no letter was fetched. It is asked before any remote server is."""

    retry, code = Retry.SOON, "recipient_unknown"


class MailServerDown(DeliveryFailed):
    """No session with the local mail server could be opened: it does not answer, or refuses it."""

    retry, code = Retry.OURS, "mail_server_down"


class DiskFull(DeliveryFailed):
    """No room, or no quota, for the letter."""

    retry, code = Retry.OURS, "disk_full"


class MailboxUnwritable(DeliveryFailed):
    """The local mailbox exists but may not be written to, or is not what it should be."""

    retry, code = Retry.OURS, "mailbox_unwritable"


class MaildirReplaced(DeliveryFailed):
    """The Maildir is not the one delivered to before (unmounted, restored, swapped): nothing may be concluded from it."""

    retry, code = Retry.OURS, "maildir_replaced"


class VolumeMissing(DeliveryFailed):
    """The volume with the Maildirs is not the one known before, or not mounted: no new mailbox is made there."""

    retry, code = Retry.OURS, "volume_missing"


class RecipientInvalid(DeliveryFailed):
    """The local mailbox's name cannot be one."""

    retry, code = Retry.AFTER_EDIT, "recipient_invalid"


class RunOvertaken(FetchError):
    """This run's claim is no longer its own, or the rule was edited under it: it stops and concludes nothing."""

    retry, code = Retry.SOON, "run_overtaken"


class Interrupted(RunOvertaken):
    """Our own process is told to end: the poll stops where it is, and is done again."""

    code = "abandoned"


class Exhausted(FetchError):
    """This machine has no descriptors, memory or ports left for another connection."""

    retry, code = Retry.OURS, "exhausted"


class DatabaseFailed(FetchError):
    """Our own database did not answer, or would not be written to."""

    retry, code = Retry.OURS, "database_failed"


class InternalError(FetchError):
    """A fault of ours that nobody foresaw; the log has its traceback. It may pass by itself (no memory, too many open files)."""

    retry, code = Retry.SOON, "internal_error"


class LocalProtocolError(Exception):
    """We used the protocol wrongly: a bug of ours, never caught."""


def printable(text: str, limit: int = MAX_DETAIL) -> str:
    """`text` as it may stand in a log, a row or a page, cut to `limit`: what is not seen, or turns the writing, is escaped."""
    safe = "".join(c if c.isprintable() else _escape(c) for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def harmless(text: str) -> str:
    """`text` with its harmful characters escaped; line feeds, tabs and blanks of any kind stay."""
    return text if text.isprintable() else "".join(_escape(c) if is_harmful(c) else c for c in text)


def is_harmful(character: str) -> bool:
    """Whether a terminal or a page would do something with it instead of showing it: move, ring, break, turn the writing, hide."""
    return category(character) in _HARMFUL and character not in "\n\t"


def _escape(character: str) -> str:
    """As JSON escapes it: beyond U+FFFF in two halves."""
    octets = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{octets[at : at + 2].hex()}" for at in range(0, len(octets), 2))


_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's control characters, those of format (which turn the writing or are not seen), surrogates, and breaks of lines."""
