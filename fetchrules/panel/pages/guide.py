"""The words of the documentation page: what each option does, and the table of keep, flush and fetchall."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.policy.table import Action, TableRow
from fetchrules.rule import OPTIONS, Takes

MEANINGS: dict[str, str | Promise] = {
    "keep": gettext_lazy("leave letters on the server"),
    "nokeep": gettext_lazy("delete letters from the server once they are delivered (the default)"),
    "flush": gettext_lazy("before fetching, delete the letters that were collected earlier"),
    "noflush": gettext_lazy("do not (the default)"),
    "fetchall": gettext_lazy("fetch old letters as well as new ones"),
    "nofetchall": gettext_lazy("fetch new letters only (the default)"),
    "ssl": gettext_lazy("TLS from the first octet, port 995 or 993"),
    "starttls": gettext_lazy("STARTTLS on port 110 or 143, demanded"),
    "plaintext": gettext_lazy("no encryption at all"),
    "sslcertck": gettext_lazy(
        "verify the server's certificate (the default); written without ssl, it demands STARTTLS"
    ),
    "nosslcertck": gettext_lazy("accept any certificate"),
    "sslfingerprint": gettext_lazy("accept only the certificate with this SHA-256; may be repeated"),
    "port": gettext_lazy("another port than the protocol's own"),
    "service": gettext_lazy("the same as port"),
    "auth": gettext_lazy("log in by this way only; any: by the best that the server offers (the default)"),
    "into": gettext_lazy("the folder of the local mailbox: of the letters of the `folder` before it, else of all"),
    "uidl": gettext_lazy("IMAP: do not believe the server's “read” marks, only what was collected here"),
    "flags": gettext_lazy("IMAP: letters keep their marks: read, flagged, answered"),
    "noflags": gettext_lazy("letters arrive as new ones (the default)"),
    "folder": gettext_lazy("IMAP: a folder to collect from; may be repeated"),
    "limit": gettext_lazy("leave letters larger than this on the server (k, m, g are understood)"),
    "fetchlimit": gettext_lazy("fetch at most so many letters in one poll"),
    "interval": gettext_lazy("poll every so many minutes"),
    "timeout": gettext_lazy("wait so many seconds for an answer"),
    "skip": gettext_lazy("the rule is switched off"),
    "keepdays": gettext_lazy("leave letters on the server for so many days after delivery, then delete them"),
}

_VALUES = {
    Takes.NUMBER: "N",
    Takes.OCTETS: "N[k|m|g]",
    Takes.FINGERPRINT: "SHA-256",
    Takes.METHOD: "METHOD",
    Takes.NAME: "NAME",
}


@dataclass(frozen=True, slots=True)
class GuideLine:
    """A row of the table in words; None stands for "any"."""

    seen: str
    keep: str
    flush: str
    fetchall: str
    action: str


def table(rows: Iterable[TableRow]) -> list[GuideLine]:
    """The policy's own table."""
    return [
        GuideLine(
            _("collected before") if row.seen else _("new"),
            _any(row.keep),
            _any(row.flush),
            _any(row.fetchall),
            _action(row),
        )
        for row in rows
    ]


def options() -> list[tuple[str, str]]:
    """Every option word as it is written, and what it does."""
    return [
        (" ".join([word, *(_VALUES[takes] for takes in option.takes)]), str(MEANINGS[word]))
        for word, option in OPTIONS.items()
    ]


def _any(value: bool | None) -> str:
    if value is None:
        return _("any")
    return _("yes") if value else _("no")


def _action(row: TableRow) -> str:
    match row.action:
        case Action.FETCH_DELETE if row.seen:
            return _("fetch again, then delete")
        case Action.FETCH_DELETE:
            return _("fetch, then delete")
        case Action.FETCH_LEAVE if row.seen:
            return _("fetch again, leave: duplicates at every poll")
        case Action.FETCH_LEAVE:
            return _("fetch, mark read, leave")
        case Action.LEAVE:
            return _("leave alone")
        case Action.DELETE:
            return _("delete, before fetching anything")
    assert_never(row.action)
