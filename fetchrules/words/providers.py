"""Mail services: their servers, and what they require for a login."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from fetchrules.rule import Encryption, Protocol


@dataclass(frozen=True, slots=True)
class Provider:
    """`hosts` are its servers by protocol, all with implicit TLS. `domains` are the suffixes of its other servers.

    `login` is the remedy for a refused login. `help_url` is the page where users get an app password or allow POP3 and IMAP.
    """

    key: str
    name: str
    hosts: dict[Protocol, str]
    domains: tuple[str, ...]
    login: str | Promise
    help_url: str = ""
    encryption: Encryption = Encryption.SSL


PROVIDERS = (
    Provider(
        "yandex",
        "Яндекс",
        {Protocol.POP3: "pop.yandex.ru", Protocol.IMAP: "imap.yandex.ru"},
        ("yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "ya.ru"),
        _("Yandex accepts an app password only, and POP3 and IMAP have to be allowed in the mailbox's settings."),
        "https://id.yandex.ru/security/app-passwords",
    ),
    Provider(
        "mailru",
        "Mail.ru",
        {Protocol.POP3: "pop.mail.ru", Protocol.IMAP: "imap.mail.ru"},
        ("mail.ru",),
        _("Mail.ru accepts only a password for external applications, made in the account's security settings."),
        "https://account.mail.ru/user/2-step-auth/passwords",
    ),
    Provider(
        "gmail",
        "Gmail",
        {Protocol.POP3: "pop.gmail.com", Protocol.IMAP: "imap.gmail.com"},
        ("gmail.com", "googlemail.com"),
        _("Gmail accepts an app password only; it can be made once two-step verification is on."),
        "https://myaccount.google.com/apppasswords",
    ),
    Provider(
        "outlook",
        "Outlook",
        {Protocol.POP3: "outlook.office365.com", Protocol.IMAP: "outlook.office365.com"},
        ("outlook.com", "office365.com"),
        _("Microsoft no longer accepts passwords for POP3 and IMAP: set up forwarding in the remote mailbox instead."),
        "https://support.microsoft.com/office/pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353",
    ),
    Provider(
        "rambler",
        "Rambler",
        {Protocol.POP3: "pop.rambler.ru", Protocol.IMAP: "imap.rambler.ru"},
        ("rambler.ru",),
        _("In Rambler's settings, access by mail programs has to be allowed first; the login is the whole address."),
        "https://help.rambler.ru/mail/mail-pochtovye-klienty/1276/",
    ),
    Provider(
        "icloud",
        "iCloud",
        {Protocol.IMAP: "imap.mail.me.com"},
        ("mail.me.com", "icloud.com"),
        _("iCloud accepts an app-specific password only, and IMAP only."),
        "https://support.apple.com/102654",
    ),
)


def provider_of(host: str) -> Provider | None:
    name = host.lower().rstrip(".")
    return next(
        (p for p in PROVIDERS if any(name == domain or name.endswith(f".{domain}") for domain in p.domains)), None
    )


def provider_named(key: str) -> Provider | None:
    return next((p for p in PROVIDERS if p.key == key), None)
