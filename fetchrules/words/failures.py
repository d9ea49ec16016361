"""Failures in words, each with its remedy. There is an entry for each code of `fetchrules.errors`."""

from dataclasses import dataclass, replace

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from fetchrules.errors import ConnectFailed, HostNotFound, TargetForbidden
from fetchrules.words.providers import provider_of


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as people read it.

    `help_url` leads to the mail service's own page. `field` names the field of the rule's form to be corrected, if there is one.
    """

    title: str
    remedy: str
    help_url: str = ""
    field: str = ""


FAILURES: dict[str, Failure] = {
    "failed": Failure(_("The poll failed"), _("Look at the run in the journal; the reason is there.")),
    "host_not_found": Failure(
        _("Server not found"), _("Check the server's name, and that this machine can resolve names."), field="server"
    ),
    "connect_failed": Failure(
        _("Cannot connect"),
        _("Check server, port and encryption, and that no firewall stands in between."),
        field="server",
    ),
    "target_forbidden": Failure(
        _("Connecting there is not allowed"),
        _(
            "This rule may use public mail servers on mail ports only; an administrator can allow a network, "
            "or take away the restriction in the rule."
        ),
    ),
    "timed_out": Failure(
        _("Timed out"),
        _(
            "The server did not answer in time. It is tried again by itself; if it stays so, check server and port, "
            "and give a slow server more time with the rule's timeout."
        ),
        field="server",
    ),
    "owner_gone": Failure(
        _("The owner is gone"),
        _("Their account was deleted or deactivated. It is polled again when somebody has taken the rule over."),
    ),
    "connection_lost": Failure(
        _("Connection lost"), _("The server broke off. Nothing is lost; the next poll goes on from there.")
    ),
    "tls_failed": Failure(
        _("No encrypted connection"),
        _("The TLS handshake failed: check that encryption and port belong together (SSL/TLS: 995 or 993)."),
        field="encryption",
    ),
    "tls_too_old": Failure(
        _("The server speaks only old TLS"),
        _(
            "It knows nothing newer than TLS 1.1, which is not safe, and no password was sent. The server has to be "
            "updated; port and encryption of the rule are right."
        ),
        field="encryption",
    ),
    "tls_too_weak": Failure(
        _("The encryption of the server is too weak"),
        _(
            "It has no cipher or key that is strong enough, and no password was sent. Old servers get weaker ones, but "
            "this host has been seen with strong ones: ask its owner what has changed."
        ),
        field="encryption",
    ),
    "tls_absent": Failure(
        _("There is no TLS on this port"),
        _(
            "What answers there is something else, and no password was sent. Take the port for TLS (993, 995), or "
            "STARTTLS."
        ),
        field="port",
    ),
    "tls_unavailable": Failure(
        _("The server offers no encryption"),
        _(
            "Nothing was sent, since encryption was demanded or seen here before. "
            "Try SSL/TLS; if it is meant to be so, choose no encryption."
        ),
        field="encryption",
    ),
    "tls_required": Failure(
        _("The server demands encryption"),
        _("It lets nobody log in without, and no password was sent. Choose STARTTLS or SSL/TLS."),
    ),
    "tls_expected": Failure(
        _("The server waits for TLS here"),
        _("It says nothing in the clear, and answers TLS at once: add ssl to the rule. No password was sent."),
        field="encryption",
    ),
    "certificate_rejected": Failure(
        _("Certificate rejected"),
        _(
            "It has expired, is another server's, or comes from an unknown issuer. No password was said. "
            "It goes on by itself when the server has a good one; test the connection to pin this one."
        ),
        field="sslfingerprint",
    ),
    "certificate_expired": Failure(
        _("The certificate is out of date"),
        _(
            "The server has to renew it, or the clock of this machine is wrong. No password was sent; it goes on by "
            "itself when the certificate is good again."
        ),
        field="sslfingerprint",
    ),
    "certificate_of_another": Failure(
        _("The certificate is for another host"),
        _(
            "Write the server by a name that its certificate has, or pin the certificate: test the connection. No "
            "password was sent."
        ),
        field="server",
    ),
    "certificate_self_signed": Failure(
        _("The certificate is self-signed"),
        _(
            "No authority that is known here has signed it. If it is the right one, test the connection and pin it "
            "there. No password was sent."
        ),
        field="sslfingerprint",
    ),
    "certificate_incomplete": Failure(
        _("The issuer of the certificate is unknown"),
        _(
            "Mostly the server does not send the intermediate certificate: its owner has to add it. Or pin the "
            "certificate: test the connection. No password was sent."
        ),
        field="sslfingerprint",
    ),
    "certificate_changed": Failure(
        _("Certificate changed"),
        _(
            "It is not the pinned one, and no password was said. "
            "If the server's owner has renewed it, pin the new one; otherwise somebody may be listening."
        ),
        field="sslfingerprint",
    ),
    "login_refused": Failure(
        _("Wrong login or password"),
        _(
            "Enter the password again. "
            "Many mail services want an app password, and POP3 or IMAP allowed in their settings."
        ),
        field="password",
    ),
    "login_unsupported": Failure(
        _("No way to log in that both sides know"),
        _(
            "The server does not take a password in a way that we know, or not in the one that the rule asks for, and no password "
            "was sent. What it offers stands beside. Choose SSL/TLS or STARTTLS if it demands encryption, take auth out of the "
            "rule, or have a login by password allowed there."
        ),
        field="encryption",
    ),
    "server_unproven": Failure(
        _("The server did not prove that it is the right one"),
        _(
            "It should have shown that it knows the password, and did not: another server may be answering in its place. "
            "The password was not shown. Choose SSL/TLS with a checked certificate; it is tried again by itself."
        ),
    ),
    "mailbox_busy": Failure(
        _("Mailbox busy"), _("Another mail program holds the mailbox. It usually passes by itself.")
    ),
    "login_delay": Failure(
        _("The server asks to wait"),
        _("It limits how often one may log in. If it happens often, make the interval longer."),
        field="interval",
    ),
    "server_temporary": Failure(
        _("The server has a temporary fault"), _("It says so itself. It is tried again later.")
    ),
    "over_limit": Failure(
        _("The server's limit is used up"),
        _(
            "It gives no more letters for now; none of them is at fault, and collecting goes on by itself. "
            "If it happens often, make the interval longer, or let a poll fetch fewer letters (fetchlimit)."
        ),
        field="interval",
    ),
    "server_refused": Failure(
        _("The server refused"),
        _("It answered with an error; what it said stands in the journal. It is tried again later."),
    ),
    "folder_missing": Failure(
        _("There is no such folder"),
        _("The account has the folders that stand beside this. The other folders of the rule are collected."),
        field="folders",
    ),
    "protocol_error": Failure(
        _("The server does not speak the protocol"),
        _("Check that the port belongs to the protocol: another service may be listening there."),
        field="port",
    ),
    "no_unique_ids": Failure(
        _("The server cannot tell letters apart"),
        _(
            "Without UIDL, letters cannot be left on the server: they would arrive again at each poll. "
            "Switch keep off, or use IMAP."
        ),
    ),
    "pass_present_refused": Failure(
        _("What lies there cannot count as collected"),
        _(
            "The rule deletes its mail, or the server's marks decide what is new: letters that wait there would never come. "
            "Switch keep on (by IMAP, uidl too), or press “Fetch them after all” on the rule's page."
        ),
    ),
    "dates_unknown": Failure(
        _("The letters cannot be told by their dates"),
        _(
            "Only what has arrived since a day is to be collected, and the server gives no headers alone (TOP), which would say "
            "when letters arrived. Choose on the rule's page that everything is collected, or nothing that lies there; or use IMAP."
        ),
        field="present",
    ),
    "came_short": Failure(
        _("It came shorter than the server had said"),
        _(
            "It was not delivered and is asked for again at the next poll. If it comes with the same length again, it is "
            "delivered, stays on the server and waits for you among the problem letters."
        ),
    ),
    "deletion_failed": Failure(
        _("The server breaks off at a deletion"),
        _(
            "The letter was delivered and still lies on the server. Its deletion is tried again after everything else; "
            "if it stays so, delete it there in a mail program."
        ),
    ),
    "nothing_came": Failure(
        _("None of the letters came"),
        _(
            "The mailbox was read, but no letter that was to be fetched could be. "
            "They stand among the problem letters, each with its reason, and are tried again."
        ),
    ),
    "password_unreadable": Failure(
        _("The stored password cannot be read"),
        _("It was stored for another mailbox, or is damaged. Enter the password again."),
        field="password",
    ),
    "key_missing": Failure(
        _("The key of the stored password is missing"),
        _(
            "Bring the file keys back, or name the right keys in UTM_MAIL_KEYS. Nobody logged in; it goes on by itself as "
            "soon as the key is there."
        ),
    ),
    "password_missing": Failure(
        _("The password is needed"),
        _("The key that it was stored with was given up as lost. Enter the password again."),
        field="password",
    ),
    "exhausted": Failure(
        _("This machine is out of resources"),
        _(
            "It has no file descriptors, memory or ports left for another connection: raise its limits, or lower "
            "UTM_MAIL_CONCURRENCY."
        ),
    ),
    "database_failed": Failure(
        _("Our database did not work"),
        _(
            "It did not answer, is read-only, or its disk is full. Nothing is lost; it goes on as soon as the database works."
        ),
    ),
    "delivery_failed": Failure(
        _("Not delivered"),
        _("The local mailbox does not take the letter now; it stays on the server and is tried again."),
    ),
    "delivery_refused": Failure(
        _("The mail server refused the letter"),
        _("It stays on the remote server, among the problem letters; what the mail server said stands there."),
    ),
    "recipient_unknown": Failure(
        _("The recipient's mailbox was not found"),
        _(
            "The local mail server takes no letters for this address. Make the mailbox there, or correct the "
            "local mailbox in the rule; no letter was fetched."
        ),
    ),
    "mail_server_down": Failure(
        _("The local mail server is not available"),
        _("See whether it runs, and check UTM_MAIL_DELIVERY. Letters stay on the remote server until it takes them."),
    ),
    "disk_full": Failure(
        _("No room left"),
        _("Free space on the disk, or enlarge the mailbox's quota. Letters stay on the server until there is room."),
    ),
    "mailbox_unwritable": Failure(
        _("The local mailbox cannot be written to"),
        _("Check the directory's owner and permissions. Letters stay on the server."),
    ),
    "maildir_replaced": Failure(
        _("The local mailbox is not the one known before"),
        _(
            "Is its disk mounted? Nothing is delivered or deleted until it is back, or until you "
            "confirm that this is the right one."
        ),
    ),
    "volume_missing": Failure(
        _("The volume with the local mailboxes is missing"),
        _(
            "Mount it, or check the path in UTM_MAIL_DELIVERY. Until then no mailbox is made there, and letters stay on the server."
        ),
    ),
    "recipient_invalid": Failure(
        _("No such local mailbox is possible"), _("Correct the local mailbox's address in the rule."), field="recipient"
    ),
    "folder_unsupported": Failure(
        _("The mail server takes no folder"),
        _(
            "Letters go to a mail server, which puts them into a folder only if it takes addresses such as “name+folder@”: say "
            "so by UTM_MAIL_DETAIL, and choose a name of Latin letters and digits, or take “into” out of the rule."
        ),
        field="into",
    ),
    "internal_error": Failure(
        _("Internal fault"),
        _("A fault of this program: its log has the details. Nothing is lost, and it is tried again."),
    ),
    "abandoned": Failure(
        _("Broken off"), _("The worker was stopped or did not report in time. The poll is done again; nothing is lost.")
    ),
    "run_overtaken": Failure(_("Interrupted"), _("The rule was changed, or the run took too long: it is done again.")),
}


def describe(code: str, host: str = "") -> Failure:
    """The failure `code` at the server `host`, in the reader's language. An unknown code reads as a failed poll."""
    found = FAILURES.get(code, FAILURES["failed"])
    failure = replace(found, title=gettext(found.title), remedy=gettext(found.remedy))
    provider = provider_of(host) if code == "login_refused" else None
    return replace(failure, remedy=str(provider.login), help_url=provider.help_url) if provider else failure


NOT_REACHED = frozenset({HostNotFound.code, ConnectFailed.code, TargetForbidden.code})
"""Only administrators learn the reason of these failures, because it would tell others what there is in an internal network."""


def describe_guarded(code: str, detail: str, host: str, *, exact: bool) -> tuple[Failure, str]:
    """The failure `code` in words and its detail; both without the reason if the reader may not know it (not `exact`)."""
    return (not_reached(), "") if code in NOT_REACHED and not exact else (describe(code, host), detail)


def not_reached() -> Failure:
    return Failure(
        gettext("Server not reached"),
        gettext(
            "There is no such server, it does not answer on this port, or it may not be connected to: rules of mailbox owners use "
            "public mail servers on mail ports, and what an administrator allows besides. Administrators see the reason."
        ),
        field="server",
    )
