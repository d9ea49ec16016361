"""What can go wrong in a poll. Every error says with `retry` what happens next.

`code` is stable: the panel, the journal and the commands' JSON use it, and `words.failures` translates it. `detail` is what the
server or the system said. It is data, and nothing is decided by it.
"""

from collections.abc import Sequence
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

    def __init_subclass__(cls, *, retry: Retry | None = None, code: str = "") -> None:
        """What a subclass does not name is as in the class above it."""
        cls.retry, cls.code = retry or cls.retry, code or cls.code

    def __init__(self, detail: str = "") -> None:
        self.detail = printable(detail)
        super().__init__(f"{self.code}: {self.detail}" if self.detail else self.code)


class HostNotFound(FetchError, retry=Retry.SOON, code="host_not_found"):
    """The name has no address, or the resolver did not answer."""


class ConnectFailed(FetchError, retry=Retry.SOON, code="connect_failed"):
    """No connection: refused, unreachable, no route."""


class TargetForbidden(FetchError, retry=Retry.SOON, code="target_forbidden"):
    """This rule may not connect to the address or port. Retried like HostNotFound, so that an owner cannot tell the two apart."""


class TimedOut(FetchError, retry=Retry.SOON, code="timed_out"):
    """A deadline passed: connecting, waiting for an answer, or the whole session."""


class ConnectionLost(FetchError, retry=Retry.SOON, code="connection_lost"):
    """The peer closed or reset the connection before the session was over."""


class TlsFailed(FetchError, retry=Retry.LATER, code="tls_failed"):
    """The TLS handshake failed for a reason other than the certificate."""


class TlsTooOld(TlsFailed, code="tls_too_old"):
    """The server speaks no TLS 1.2 or later."""


class TlsTooWeak(TlsFailed, code="tls_too_weak"):
    """The server has no cipher or key that is strong enough. A rule whose host never showed a stronger one takes weaker ones."""


class TlsAbsent(TlsFailed, code="tls_absent"):
    """What answers on this port is no TLS."""


class TlsUnavailable(FetchError, retry=Retry.LATER, code="tls_unavailable"):
    """The rule demands TLS, or the server has offered it before, but now it does not. Nothing was sent."""


class TlsRequired(FetchError, retry=Retry.LATER, code="tls_required"):
    """The server does not allow a login without TLS, and the rule asks for none. No password was sent."""


class TlsExpected(FetchError, retry=Retry.LATER, code="tls_expected"):
    """The server says nothing in the clear and answers TLS: the rule lacks `ssl`. No password was sent."""


class CertificateRejected(FetchError, retry=Retry.LATER, code="certificate_rejected"):
    """The certificate does not verify (expired, unknown issuer, another host's). No password was sent. It may verify later."""


class CertificateExpired(CertificateRejected, code="certificate_expired"):
    """The certificate is out of date, or not valid yet."""


class CertificateOfAnother(CertificateRejected, code="certificate_of_another"):
    """The certificate is for another host."""


class CertificateSelfSigned(CertificateRejected, code="certificate_self_signed"):
    """No authority has signed the certificate, or one that nobody else knows."""


class CertificateIncomplete(CertificateRejected, code="certificate_incomplete"):
    """The issuer is unknown here, often because the server does not send the intermediate certificate."""


class CertificateChanged(FetchError, retry=Retry.AFTER_EDIT, code="certificate_changed"):
    """The certificate is not the one that the rule pins. No password was sent."""


class LoginRefused(FetchError, retry=Retry.IF_IT_LASTS, code="login_refused"):
    """The server refused user and password."""


class LoginUnsupported(FetchError, retry=Retry.IF_IT_LASTS, code="login_unsupported"):
    """The server offers no way to log in that we know, or not the one that the rule asks for. No password was sent."""


class ServerUnproven(FetchError, retry=Retry.LATER, code="server_unproven"):
    """The server should have proven that it knows the password, and did not (SCRAM): it may be another's."""


class MailboxBusy(FetchError, retry=Retry.LATER, code="mailbox_busy"):
    """Another session holds the mailbox (RFC 2449 [IN-USE])."""


class LoginDelay(FetchError, retry=Retry.LATER, code="login_delay"):
    """The server asks for more time between logins (RFC 2449 [LOGIN-DELAY])."""


class ServerTemporary(FetchError, retry=Retry.LATER, code="server_temporary"):
    """The server reports a temporary fault (RFC 3206 [SYS/TEMP])."""


class OverLimit(FetchError, retry=Retry.LATER, code="over_limit"):
    """A quota of the server, on traffic or commands, is used up, so it gives no more letters for now."""


class ServerRefused(FetchError, retry=Retry.LATER, code="server_refused"):
    """The server answered a command with an error, without a reason that we know."""


class FolderMissing(ServerRefused, retry=Retry.AS_USUAL, code="folder_missing"):
    """The account has no such folder, but `folders`. The rule's other folders are collected."""

    def __init__(self, folders: Sequence[str] = ()) -> None:
        self.folders = tuple(folders)
        super().__init__(", ".join(folders))


class RemoteProtocolError(FetchError, retry=Retry.LATER, code="protocol_error"):
    """The server broke the protocol. Nothing that it sent afterwards is trusted."""


class NoUniqueIds(FetchError, retry=Retry.IF_IT_LASTS, code="no_unique_ids"):
    """The rule keeps mail on a server without unique-ids (no UIDL), which cannot tell letters apart."""


class PassPresentRefused(FetchError, retry=Retry.AFTER_EDIT, code="pass_present_refused"):
    """Present letters should count as collected, but the rule deletes its mail, or the server's flags decide what is seen."""


class DatesUnknown(FetchError, retry=Retry.IF_IT_LASTS, code="dates_unknown"):
    """Letters of before a day are to count as collected, and the server gives no headers (TOP) that would date its letters."""


class CameShort(FetchError, retry=Retry.AS_USUAL, code="came_short"):
    """A letter is complete, but far shorter than the size that the server had listed."""


class DeletionFailed(FetchError, retry=Retry.AS_USUAL, code="deletion_failed"):
    """The session broke at the deletion of this letter."""


class NothingCame(FetchError, retry=Retry.AS_USUAL, code="nothing_came"):
    """None of the letters to fetch could be fetched. Each has its reason among the problem letters."""


class OwnerGone(FetchError, retry=Retry.AFTER_EDIT, code="owner_gone"):
    """The account of the rule's owner was deleted or deactivated, and nobody has taken the rule over."""


class PasswordUnreadable(FetchError, retry=Retry.AFTER_EDIT, code="password_unreadable"):
    """The stored password does not open: it was sealed for another mailbox, or it is damaged."""


class KeyMissing(PasswordUnreadable, retry=Retry.OURS, code="key_missing"):
    """The key of the stored password is missing. It may come back."""


class PasswordMissing(PasswordUnreadable, retry=Retry.AFTER_EDIT, code="password_missing"):
    """The password was deleted, because its key was given up as lost."""


class DeliveryFailed(FetchError, retry=Retry.OURS, code="delivery_failed"):
    """The local mailbox cannot take the letter now. It stays on the remote server."""


class DeliveryRefused(DeliveryFailed, retry=Retry.LATER, code="delivery_refused"):
    """The local mail server refused the letter permanently (a 5xx reply)."""


class RecipientUnknown(DeliveryRefused, retry=Retry.SOON, code="recipient_unknown"):
    """The local mail server has no mailbox for the recipient. It is asked before the remote server, so no letter was fetched."""


class MailServerDown(DeliveryFailed, retry=Retry.OURS, code="mail_server_down"):
    """The local mail server does not answer, or refuses the session."""


class DiskFull(DeliveryFailed, retry=Retry.OURS, code="disk_full"):
    """No disk space or quota is left."""


class MailboxUnwritable(DeliveryFailed, retry=Retry.OURS, code="mailbox_unwritable"):
    """The local mailbox exists but is not writable, or is not a Maildir."""


class MaildirReplaced(DeliveryFailed, retry=Retry.OURS, code="maildir_replaced"):
    """The Maildir is not the former one (unmounted, restored, swapped). Nothing may be concluded from its content."""


class VolumeMissing(DeliveryFailed, retry=Retry.OURS, code="volume_missing"):
    """The volume of the Maildirs is not mounted, or not the former one. No new mailbox is made there."""


class RecipientInvalid(DeliveryFailed, retry=Retry.AFTER_EDIT, code="recipient_invalid"):
    """The recipient cannot name a local mailbox."""


class FolderUnsupported(DeliveryFailed, retry=Retry.AFTER_EDIT, code="folder_unsupported"):
    """The mail server that letters are handed to is not known to deliver into this folder of a mailbox."""


class RunOvertaken(FetchError, retry=Retry.SOON, code="run_overtaken"):
    """This run lost its claim, or the rule was edited meanwhile. It stops and concludes nothing."""


class Interrupted(RunOvertaken, code="abandoned"):
    """Our process is ending. The poll stops and will be done again."""


class Exhausted(FetchError, retry=Retry.OURS, code="exhausted"):
    """This machine has no file descriptors, memory or ports left for another connection."""


class DatabaseFailed(FetchError, retry=Retry.OURS, code="database_failed"):
    """Our database does not answer, or cannot be written to."""


class InternalError(FetchError, retry=Retry.SOON, code="internal_error"):
    """An unforeseen fault of this program. The log has its traceback. It may pass by itself (no memory, too many open files)."""


class LocalProtocolError(Exception):
    """We used the protocol wrongly. It is a bug of ours, and nothing catches it."""


def printable(text: str, limit: int = MAX_DETAIL) -> str:
    """`text` for a log, a row or a page: cut to `limit` characters, with everything escaped that is not printable."""
    safe = text[: limit + 1]
    if not safe.isprintable():
        safe = "".join(c if c.isprintable() else _escape(c) for c in safe)
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
