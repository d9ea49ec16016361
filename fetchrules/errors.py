"""What can go wrong in a poll. Every error says with `retry` what happens next.

`code` is stable: the panel, the journal and the commands' JSON use it, and `words.failures` translates it. `detail` is what the
server or the system said. It is data, and nothing is decided by it.
"""

from enum import Enum
from typing import ClassVar
from unicodedata import category

MAX_DETAIL = 200
"""The longest `detail`, in characters."""


class Retry(Enum):
    """When the next attempt makes sense."""

    SOON = "soon"
    """A fault of the network: a short back-off."""
    LATER = "later"
    """The server is busy, asks to wait, or breaks the protocol: a long back-off."""
    IF_IT_LASTS = "if_it_lasts"
    """As LATER at first, because it may pass. After some time the rule waits for a person."""
    AFTER_EDIT = "after_edit"
    """A person has to change the rule."""
    OURS = "ours"
    """A fault of this machine: a back-off of two minutes at most, so that mail flows soon after the repair."""
    AS_USUAL = "as_usual"
    """Only single letters are at fault: the mailbox is polled at its usual interval."""


class FetchError(Exception):
    """A poll or one step of it failed. The subclasses say how."""

    retry: ClassVar[Retry] = Retry.LATER
    code: ClassVar[str] = "failed"

    def __init__(self, detail: str = "") -> None:
        self.detail = printable(detail)
        super().__init__(f"{self.code}: {self.detail}" if self.detail else self.code)


class HostNotFound(FetchError):
    """The name has no address, or the resolver did not answer."""

    retry, code = Retry.SOON, "host_not_found"


class ConnectFailed(FetchError):
    """No connection: refused, unreachable, no route."""

    retry, code = Retry.SOON, "connect_failed"


class TargetForbidden(FetchError):
    """This rule may not connect to the address or port. Retried like HostNotFound, so that an owner cannot tell the two apart."""

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
    """The rule demands TLS, or the server has offered it before, but now it does not. Nothing was sent."""

    retry, code = Retry.LATER, "tls_unavailable"


class TlsRequired(FetchError):
    """The server does not allow a login without TLS, and the rule asks for none. No password was sent."""

    retry, code = Retry.LATER, "tls_required"


class CertificateRejected(FetchError):
    """The certificate does not verify (expired, unknown issuer, another host's). No password was sent. It may verify later."""

    retry, code = Retry.LATER, "certificate_rejected"


class CertificateChanged(FetchError):
    """The certificate is not the one that the rule pins. No password was sent."""

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
    """The server reports a temporary fault (RFC 3206 [SYS/TEMP])."""

    retry, code = Retry.LATER, "server_temporary"


class OverLimit(FetchError):
    """A quota of the server, on traffic or commands, is used up, so it gives no more letters for now."""

    retry, code = Retry.LATER, "over_limit"


class ServerRefused(FetchError):
    """The server answered a command with an error, without a reason that we know."""

    retry, code = Retry.LATER, "server_refused"


class RemoteProtocolError(FetchError):
    """The server broke the protocol. Nothing that it sent afterwards is trusted."""

    retry, code = Retry.LATER, "protocol_error"


class NoUniqueIds(FetchError):
    """The rule keeps mail on a server without unique-ids (no UIDL), which cannot tell letters apart."""

    retry, code = Retry.IF_IT_LASTS, "no_unique_ids"


class PassPresentRefused(FetchError):
    """Present letters should count as collected, but the rule deletes its mail, or the server's flags decide what is seen."""

    retry, code = Retry.AFTER_EDIT, "pass_present_refused"


class CameShort(FetchError):
    """A letter is complete, but far shorter than the size that the server had listed."""

    retry, code = Retry.AS_USUAL, "came_short"


class DeletionFailed(FetchError):
    """The session broke at the deletion of this letter."""

    retry, code = Retry.AS_USUAL, "deletion_failed"


class NothingCame(FetchError):
    """None of the letters to fetch could be fetched. Each has its reason among the problem letters."""

    retry, code = Retry.AS_USUAL, "nothing_came"


class OwnerGone(FetchError):
    """The account of the rule's owner was deleted or deactivated, and nobody has taken the rule over."""

    retry, code = Retry.AFTER_EDIT, "owner_gone"


class PasswordUnreadable(FetchError):
    """The stored password does not open: it was sealed for another mailbox, or it is damaged."""

    retry, code = Retry.AFTER_EDIT, "password_unreadable"


class KeyMissing(PasswordUnreadable):
    """The key of the stored password is missing. It may come back."""

    retry, code = Retry.OURS, "key_missing"


class PasswordMissing(PasswordUnreadable):
    """The password was deleted, because its key was given up as lost."""

    retry, code = Retry.AFTER_EDIT, "password_missing"


class DeliveryFailed(FetchError):
    """The local mailbox cannot take the letter now. It stays on the remote server."""

    retry, code = Retry.OURS, "delivery_failed"


class DeliveryRefused(DeliveryFailed):
    """The local mail server refused the letter permanently (a 5xx reply)."""

    retry, code = Retry.LATER, "delivery_refused"


class RecipientUnknown(DeliveryRefused):
    """The local mail server has no mailbox for the recipient. It is asked before the remote server, so no letter was fetched."""

    retry, code = Retry.SOON, "recipient_unknown"


class MailServerDown(DeliveryFailed):
    """The local mail server does not answer, or refuses the session."""

    retry, code = Retry.OURS, "mail_server_down"


class DiskFull(DeliveryFailed):
    """No disk space or quota is left."""

    retry, code = Retry.OURS, "disk_full"


class MailboxUnwritable(DeliveryFailed):
    """The local mailbox exists but is not writable, or is not a Maildir."""

    retry, code = Retry.OURS, "mailbox_unwritable"


class MaildirReplaced(DeliveryFailed):
    """The Maildir is not the former one (unmounted, restored, swapped). Nothing may be concluded from its content."""

    retry, code = Retry.OURS, "maildir_replaced"


class VolumeMissing(DeliveryFailed):
    """The volume of the Maildirs is not mounted, or not the former one. No new mailbox is made there."""

    retry, code = Retry.OURS, "volume_missing"


class RecipientInvalid(DeliveryFailed):
    """The recipient cannot name a local mailbox."""

    retry, code = Retry.AFTER_EDIT, "recipient_invalid"


class RunOvertaken(FetchError):
    """This run lost its claim, or the rule was edited meanwhile. It stops and concludes nothing."""

    retry, code = Retry.SOON, "run_overtaken"


class Interrupted(RunOvertaken):
    """Our process is ending. The poll stops and will be done again."""

    code = "abandoned"


class Exhausted(FetchError):
    """This machine has no file descriptors, memory or ports left for another connection."""

    retry, code = Retry.OURS, "exhausted"


class DatabaseFailed(FetchError):
    """Our database does not answer, or cannot be written to."""

    retry, code = Retry.OURS, "database_failed"


class InternalError(FetchError):
    """An unforeseen fault of this program. The log has its traceback. It may pass by itself (no memory, too many open files)."""

    retry, code = Retry.SOON, "internal_error"


class LocalProtocolError(Exception):
    """We used the protocol wrongly. It is a bug of ours, and nothing catches it."""


def printable(text: str, limit: int = MAX_DETAIL) -> str:
    """`text` for a log, a row or a page: cut to `limit` characters, with everything escaped that is not printable."""
    safe = "".join(c if c.isprintable() else _escape(c) for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def harmless(text: str) -> str:
    """`text` with its harmful characters escaped. Line feeds, tabs and blanks of any kind stay."""
    return text if text.isprintable() else "".join(_escape(c) if is_harmful(c) else c for c in text)


def is_harmful(character: str) -> bool:
    """Whether a terminal or page acts on it instead of showing it: control and bidi characters, line breaks, surrogates."""
    return category(character) in _HARMFUL and character not in "\n\t"


def _escape(character: str) -> str:
    """As in JSON: a character beyond U+FFFF as two surrogates."""
    octets = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{octets[at : at + 2].hex()}" for at in range(0, len(octets), 2))


_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters (bidi, invisible), surrogates, and line separators."""
