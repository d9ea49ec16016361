"""Texts by which servers say that they are busy or over their limits, often without a response code.

The text of a message decides nothing but here, and this table may only soften an error to "busy, later": it never pauses a
rule, blames a letter or deletes one. The sources quote the service word by word. A text that names a wrong password among its
possible reasons is not listed, nor is one that only says that something failed.
"""

from dataclasses import dataclass

from fetchrules.errors import FetchError, OverLimit, ServerTemporary


@dataclass(frozen=True, slots=True)
class KnownText:
    """`words`, anywhere in a negative answer and in any case, mean `error`."""

    words: str
    error: type[OverLimit] | type[ServerTemporary]
    service: str
    source: str


_FETCHMAIL = "github.com/apple-open-source/macos, fetchmail/fetchmail/pop3.c"
"""fetchmail, which tells these texts from refused passwords too."""

KNOWN_TEXTS = (
    KnownText("Download exceed", OverLimit, "NetEase (163), POP3 RETR", "github.com/zhangyunhao116/zmail/issues/115"),
    KnownText(
        "exceeded command or bandwidth limits",
        OverLimit,
        "Gmail, IMAP FETCH",
        "github.com/ljmerza/ha-email-sensor/issues/16",
    ),
    KnownText("Rate limit hit", OverLimit, "Yahoo, any IMAP command", "github.com/postalsys/imapflow/issues/75"),
    KnownText(
        "Request is throttled", OverLimit, "Microsoft 365, Outlook.com, IMAP", "github.com/imapsync/imapsync/issues/198"
    ),
    KnownText("Exceeded the login limit", OverLimit, "unnamed, POP3 LIST", "github.com/frappe/frappe/issues/242"),
    KnownText(
        "Too many simultaneous connections",
        ServerTemporary,
        "Gmail, IMAP login",
        "github.com/jstedfast/MailKit/issues/377",
    ),
    KnownText(
        "Maximum number of connections from user+IP exceeded",
        ServerTemporary,
        "Dovecot, login",
        "github.com/mscdex/node-imap/issues/606",
    ),
    KnownText(
        "Server Unavailable. 15",
        ServerTemporary,
        "Exchange, any IMAP command of a client that is throttled",
        "github.com/lefcha/imapfilter/issues/146",
    ),
    KnownText(
        "User is authenticated but not connected",
        ServerTemporary,
        "Exchange Online, any IMAP command behind a login, for some time after too many connections",
        "github.com/Webklex/php-imap/issues/464",
    ),
    KnownText(
        "Temporary failure on server", ServerTemporary, "Yahoo, IMAP FETCH", "github.com/mscdex/node-imap/issues/340"
    ),
    KnownText("lock busy", ServerTemporary, "qpopper, POP3 login", _FETCHMAIL),
    KnownText("unable to lock", ServerTemporary, "qpopper, POP3 login", _FETCHMAIL),
    KnownText("already locked", ServerTemporary, "qpopper, POP3 login", _FETCHMAIL),
    KnownText("wait a few minutes and try again", ServerTemporary, "InterMail, POP3 login", _FETCHMAIL),
    KnownText(
        "Mailbox is locked by another", ServerTemporary, "unnamed, POP3 login", "github.com/agsh/yapople/issues/19"
    ),
    KnownText(
        "mailbox already in use by", ServerTemporary, "unnamed, POP3 login", "github.com/horms/perdition/issues/4"
    ),
)


def softened(words: str) -> type[FetchError] | None:
    """The error that a negative answer with these words stands for, if they are known: OverLimit or ServerTemporary."""
    folded = words.casefold()
    return next((known.error for known in KNOWN_TEXTS if known.words.casefold() in folded), None)
