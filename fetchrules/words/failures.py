"""What went wrong, in words, and what to do about it. One entry for each code of `fetchrules.errors`."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from fetchrules.words.providers import provider_of


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as people read it. `help_url` leads to the mail service's own page; `passes`: it usually mends itself.

    `field`: of the rule's form, where it is to be mended, if there.
    """

    title: str
    remedy: str
    help_url: str = ""
    passes: bool = False
    field: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str | Promise
    remedy: str | Promise
    passes: bool = False
    field: str = ""


FAILURES: dict[str, _Entry] = {
    "failed": _Entry(
        gettext_lazy("The poll failed"),
        gettext_lazy("Look at the run in the journal; the reason is there."),
    ),
    "host_not_found": _Entry(
        gettext_lazy("Server not found"),
        gettext_lazy("Check the server's name, and that this machine can resolve names."),
        field="server",
    ),
    "connect_failed": _Entry(
        gettext_lazy("Cannot connect"),
        gettext_lazy("Check server, port and encryption, and that no firewall stands in between."),
        field="server",
    ),
    "target_forbidden": _Entry(
        gettext_lazy("Connecting there is not allowed"),
        gettext_lazy(
            "This rule may use public mail servers on mail ports only; an administrator can allow a network, "
            "or take away the restriction in the rule."
        ),
    ),
    "timed_out": _Entry(
        gettext_lazy("Timed out"),
        gettext_lazy(
            "The server did not answer in time. It is tried again by itself; if it stays so, check server and port, "
            "and give a slow server more time with the rule's timeout."
        ),
        passes=True,
        field="server",
    ),
    "owner_gone": _Entry(
        gettext_lazy("The owner is gone"),
        gettext_lazy(
            "Their account was deleted or deactivated. It is polled again when somebody has taken the rule over."
        ),
    ),
    "connection_lost": _Entry(
        gettext_lazy("Connection lost"),
        gettext_lazy("The server broke off. Nothing is lost; the next poll goes on from there."),
        passes=True,
    ),
    "tls_failed": _Entry(
        gettext_lazy("No encrypted connection"),
        gettext_lazy("The TLS handshake failed: check that encryption and port belong together (SSL/TLS: 995 or 993)."),
        field="encryption",
    ),
    "tls_unavailable": _Entry(
        gettext_lazy("The server offers no encryption"),
        gettext_lazy(
            "Nothing was sent, since encryption was demanded or seen here before. "
            "Try SSL/TLS; if it is meant to be so, choose no encryption."
        ),
        field="encryption",
    ),
    "tls_required": _Entry(
        gettext_lazy("The server demands encryption"),
        gettext_lazy("It lets nobody log in without, and no password was sent. Choose STARTTLS or SSL/TLS."),
    ),
    "certificate_rejected": _Entry(
        gettext_lazy("Certificate rejected"),
        gettext_lazy(
            "It has expired, is another server's, or comes from an unknown issuer. No password was said. "
            "It goes on by itself when the server has a good one; test the connection to pin this one."
        ),
        field="sslfingerprint",
    ),
    "certificate_changed": _Entry(
        gettext_lazy("Certificate changed"),
        gettext_lazy(
            "It is not the pinned one, and no password was said. "
            "If the server's owner has renewed it, pin the new one; otherwise somebody may be listening."
        ),
        field="sslfingerprint",
    ),
    "login_refused": _Entry(
        gettext_lazy("Wrong login or password"),
        gettext_lazy(
            "Enter the password again. "
            "Many mail services want an app password, and POP3 or IMAP allowed in their settings."
        ),
        field="password",
    ),
    "mailbox_busy": _Entry(
        gettext_lazy("Mailbox busy"),
        gettext_lazy("Another mail program holds the mailbox. It usually passes by itself."),
        passes=True,
    ),
    "login_delay": _Entry(
        gettext_lazy("The server asks to wait"),
        gettext_lazy("It limits how often one may log in. If it happens often, make the interval longer."),
        passes=True,
        field="interval",
    ),
    "server_temporary": _Entry(
        gettext_lazy("The server has a temporary fault"),
        gettext_lazy("It says so itself. It is tried again later."),
        passes=True,
    ),
    "over_limit": _Entry(
        gettext_lazy("The server's limit is used up"),
        gettext_lazy(
            "It gives no more letters for now; none of them is at fault, and collecting goes on by itself. "
            "If it happens often, make the interval longer, or let a poll fetch fewer letters (fetchlimit)."
        ),
        passes=True,
        field="interval",
    ),
    "server_refused": _Entry(
        gettext_lazy("The server refused"),
        gettext_lazy("It answered with an error; what it said stands in the journal. It is tried again later."),
    ),
    "protocol_error": _Entry(
        gettext_lazy("The server does not speak the protocol"),
        gettext_lazy("Check that the port belongs to the protocol: another service may be listening there."),
        field="port",
    ),
    "no_unique_ids": _Entry(
        gettext_lazy("The server cannot tell letters apart"),
        gettext_lazy(
            "Without UIDL, letters cannot be left on the server: they would arrive again at each poll. "
            "Switch keep off, or use IMAP."
        ),
    ),
    "pass_present_refused": _Entry(
        gettext_lazy("What lies there cannot count as collected"),
        gettext_lazy(
            "The rule deletes its mail, or the server's marks decide what is new: letters that wait there would never come. "
            "Switch keep on (by IMAP, uidl too), or press “Fetch them after all” on the rule's page."
        ),
    ),
    "came_short": _Entry(
        gettext_lazy("It came shorter than the server had said"),
        gettext_lazy(
            "It was not delivered and is asked for again at the next poll. If it comes with the same length again, it is "
            "delivered, stays on the server and waits for you among the problem letters."
        ),
        passes=True,
    ),
    "deletion_failed": _Entry(
        gettext_lazy("The server breaks off at a deletion"),
        gettext_lazy(
            "The letter was delivered and still lies on the server. Its deletion is tried again after everything else; "
            "if it stays so, delete it there in a mail program."
        ),
    ),
    "nothing_came": _Entry(
        gettext_lazy("None of the letters came"),
        gettext_lazy(
            "The mailbox was read, but no letter that was to be fetched could be. "
            "They stand among the problem letters, each with its reason, and are tried again."
        ),
    ),
    "password_unreadable": _Entry(
        gettext_lazy("The stored password cannot be read"),
        gettext_lazy("It was stored for another mailbox, or is damaged. Enter the password again."),
        field="password",
    ),
    "key_missing": _Entry(
        gettext_lazy("The key of the stored password is missing"),
        gettext_lazy(
            "Bring the file keys back, or name the right keys in UTM_MAIL_KEYS. Nobody logged in; it goes on by itself as "
            "soon as the key is there."
        ),
    ),
    "password_missing": _Entry(
        gettext_lazy("The password is needed"),
        gettext_lazy("The key that it was stored with was given up as lost. Enter the password again."),
        field="password",
    ),
    "exhausted": _Entry(
        gettext_lazy("This machine is out of resources"),
        gettext_lazy(
            "It has no file descriptors, memory or ports left for another connection: raise its limits, or lower "
            "UTM_MAIL_CONCURRENCY."
        ),
    ),
    "database_failed": _Entry(
        gettext_lazy("Our database did not work"),
        gettext_lazy(
            "It did not answer, is read-only, or its disk is full. Nothing is lost; it goes on as soon as the database works."
        ),
    ),
    "delivery_failed": _Entry(
        gettext_lazy("Not delivered"),
        gettext_lazy("The local mailbox does not take the letter now; it stays on the server and is tried again."),
    ),
    "delivery_refused": _Entry(
        gettext_lazy("The mail server refused the letter"),
        gettext_lazy(
            "It stays on the remote server, among the problem letters; what the mail server said stands there."
        ),
    ),
    "recipient_unknown": _Entry(
        gettext_lazy("The recipient's mailbox was not found"),
        gettext_lazy(
            "The local mail server takes no letters for this address. Make the mailbox there, or correct the "
            "local mailbox in the rule; no letter was fetched."
        ),
    ),
    "mail_server_down": _Entry(
        gettext_lazy("The local mail server is not available"),
        gettext_lazy(
            "See whether it runs, and check UTM_MAIL_DELIVERY. Letters stay on the remote server until it takes them."
        ),
    ),
    "disk_full": _Entry(
        gettext_lazy("No room left"),
        gettext_lazy(
            "Free space on the disk, or enlarge the mailbox's quota. Letters stay on the server until there is room."
        ),
    ),
    "mailbox_unwritable": _Entry(
        gettext_lazy("The local mailbox cannot be written to"),
        gettext_lazy("Check the directory's owner and permissions. Letters stay on the server."),
    ),
    "maildir_replaced": _Entry(
        gettext_lazy("The local mailbox is not the one known before"),
        gettext_lazy(
            "Is its disk mounted? Nothing is delivered or deleted until it is back, or until you "
            "confirm that this is the right one."
        ),
    ),
    "volume_missing": _Entry(
        gettext_lazy("The volume with the local mailboxes is missing"),
        gettext_lazy(
            "Mount it, or check the path in UTM_MAIL_DELIVERY. Until then no mailbox is made there, and letters stay on the server."
        ),
    ),
    "recipient_invalid": _Entry(
        gettext_lazy("No such local mailbox is possible"),
        gettext_lazy("Correct the local mailbox's address in the rule."),
        field="recipient",
    ),
    "internal_error": _Entry(
        gettext_lazy("Internal fault"),
        gettext_lazy("A fault of this program: its log has the details. Nothing is lost, and it is tried again."),
    ),
    "abandoned": _Entry(
        gettext_lazy("Broken off"),
        gettext_lazy("The worker was stopped or did not report in time. The poll is done again; nothing is lost."),
        passes=True,
    ),
    "run_overtaken": _Entry(
        gettext_lazy("Interrupted"),
        gettext_lazy("The rule was changed, or the run took too long: it is done again."),
        passes=True,
    ),
}


def describe(code: str, host: str = "") -> Failure:
    """The failure `code` at the server `host`, in the reader's language. A code of a later version is told as a failed poll."""
    entry = FAILURES.get(code, FAILURES["failed"])
    provider = provider_of(host) if code == "login_refused" else None
    if provider:
        return Failure(str(entry.title), str(provider.login), provider.help_url, field=entry.field)
    return Failure(str(entry.title), str(entry.remedy), passes=entry.passes, field=entry.field)
