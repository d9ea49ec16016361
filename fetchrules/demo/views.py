"""«What arrived», a page of the demonstration: the letters in its local mailboxes, read from the Maildirs themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from fetchrules.acts import roles
from fetchrules.delivery.letterhead import Letterhead, read_date, read_letterhead
from fetchrules.delivery.maildir import MaildirLayout
from fetchrules.errors import RecipientInvalid
from fetchrules.panel import access

SHOWN = 12
"""Letters of each mailbox, the newest."""
HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class Arrived:
    head: Letterhead
    size: int
    at: datetime
    sent: datetime | None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """One recipient's Maildir. `more`: how many letters are not shown."""

    recipient: str
    path: Path
    letters: tuple[Arrived, ...]
    more: int


@require_safe
def arrivals(request: HttpRequest, template: str) -> HttpResponse:
    return render(request, template, {"mailboxes": list(_mailboxes(request))})


def _mailboxes(request: HttpRequest) -> Iterator[Arrivals]:
    """The local mailboxes of the rules that the reader may see, in their order."""
    rules = roles.visible_rules(access.user_of(request)).order_by("position").values_list("recipient", flat=True)
    for recipient in dict.fromkeys(rules):
        try:
            layout = MaildirLayout.parse(settings.UTM_MAIL_DELIVERY)
            maildir = layout.maildir(layout.template.place(recipient)).path
        except (RecipientInvalid, ValueError):
            continue  # a rule that cannot be delivered says so in the list of rules
        files = sorted(_files(maildir), key=lambda file: file.name, reverse=True)
        letters = sorted(map(_read, files[:SHOWN]), key=lambda letter: letter.sent or letter.at, reverse=True)
        yield Arrivals(recipient, maildir, tuple(letters), max(0, len(files) - SHOWN))


def _files(maildir: Path) -> Iterator[Path]:
    for part in ("new", "cur"):
        if (maildir / part).is_dir():
            yield from (maildir / part).iterdir()


def _read(file: Path) -> Arrived:
    with file.open("rb") as letter:
        head = letter.read(HEAD)
    stat = file.stat()
    arrived = datetime.fromtimestamp(stat.st_mtime, timezone.get_current_timezone())
    return Arrived(read_letterhead(head), stat.st_size, arrived, read_date(head))


urlpatterns = [
    path("demo/", arrivals, {"template": "fetchrules/demo.html"}, name="arrivals"),
    path("demo/live/", arrivals, {"template": "fetchrules/_arrivals.html"}, name="arrivals_live"),
]
