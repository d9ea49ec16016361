"""From a recipient to the local mailbox that their letters are delivered into, as UTM_MAIL_DELIVERY says."""

import functools
import math
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from django.conf import settings

from fetchrules.delivery.dialogue import MailServer
from fetchrules.delivery.maildir import SCHEME, Maildir, MaildirLayout, is_maildir, make_volume_marker, volume_marker
from fetchrules.delivery.recipients import PathTemplate, RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import DeliveryFailed, MailboxUnwritable, MaildirReplaced, RecipientInvalid, VolumeMissing
from fetchrules.models import Letter, LocalMarker
from fetchrules.policy import IN_HAND

ADOPTED = ""
"""Recorded instead of a marker: what stands there, or is made by the next delivery, is the right one, whatever its volume."""

_SPOOL = "spool"
"""In the data directory: the directories in which letters for a mail server wait."""


class Destination:
    """One recipient's mailbox, together with the marker by which the database knows its directory."""

    def __init__(self, recipient: str, end: Callable[[], float] = lambda: math.inf) -> None:
        """Touches nothing yet. Raises RecipientInvalid. A mail server is sent no letter after `end`, by the monotonic clock."""
        layout = _layout()
        self._place = layout.template.place(recipient)
        self._path = str(layout.directory(self._place))
        known = LocalMarker.objects.filter(path=self._path).first()
        self._adopted = known is not None and known.marker == ADOPTED
        self._recorded = known is not None and not self._adopted
        self._sealed = False
        self.mailbox = _mailbox(recipient, layout, self._place, known.marker if known and self._recorded else None, end)

    def prepare(self, octets: int) -> None:
        """Prepare the mailbox; a new marker is recorded before the first letter is, and a copy not taken for the original.

        Raises DeliveryFailed: MaildirReplaced, too, for a copy while letters that it has not are in hand, and VolumeMissing where a
        Maildir would have to be made on a volume that is not the known one.
        """
        if self._recorded:
            self.mailbox.prepare(octets)
        else:
            self._make(octets)
        if not self._sealed:
            self._seal()
            self._sealed = True  # while it is open, nobody can put another in its place without being noticed

    def _make(self, octets: int) -> None:
        self._require_volume()
        self.mailbox.prepare(octets)
        self._require_volume()  # it may have been unmounted meanwhile
        if self.mailbox.staging.marker:
            _record(self._path, self.mailbox.staging.marker)
            self._recorded = True
            if self.mailbox.exactly_once:
                _mark_volume(self._place.root)

    def _seal(self) -> None:
        """A mailbox that moved to another disk is the same, unless a letter was about to be delivered and is not there."""
        if not self.mailbox.staging.sealed:
            waiting = Letter.objects.filter(directory=self.mailbox.staging.marker, state__in=IN_HAND)
            self.mailbox.staging.seal(list(waiting.values_list("file_name", flat=True)))

    def _require_volume(self) -> None:
        """Raises VolumeMissing. What waits to be sent to a mail server lies beside the database, so that it is not asked for."""
        if self._adopted or not self.mailbox.exactly_once:
            return
        root, parts = self._place.root, self._place.parts
        neighbours = _known_below(root / parts[0]) if len(parts) > 1 else {}
        if not (_any_is_there(neighbours) if neighbours else _volume_is_there(root)):
            where = root / parts[0] if neighbours else root
            raise VolumeMissing(
                f"{where}: no local mailbox that is known there is there now; "
                "mount the volume, or confirm that this is the right place"
            )

    def confirm(self) -> None:
        """Make sure, as far as it can be known, that what was delivered before is still there. Raises DeliveryFailed."""
        if self.mailbox.exactly_once:
            self.prepare(0)

    def check(self) -> None:
        """Whether a letter could be delivered, without making a mailbox for it. Raises DeliveryFailed."""
        if not self.mailbox.exactly_once or self._recorded:
            self.prepare(0)
            return
        self._require_volume()
        nearest = next(path for path in (self._place.path, *self._place.path.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise MailboxUnwritable(str(nearest))

    def close(self) -> None:
        self.mailbox.close()


def same_mailbox(one: str, other: str) -> bool:
    """Whether two recipients are one local mailbox. One whose name is none any more is nobody's."""
    template = _layout().template
    try:
        return template.place(one) == template.place(other)
    except RecipientInvalid:
        return False


def path_of(recipient: str) -> str | None:
    """The directory of the recipient's mailbox, as `LocalMarker.path` has it; None where there can be none."""
    layout = _layout()
    try:
        return str(layout.directory(layout.template.place(recipient)))
    except RecipientInvalid:
        return None


def mailbox_key(recipient: str) -> str:
    """What is the same for recipients that are one local mailbox: its path; the address in lower case where none can be."""
    return _key(_layout().template, recipient)


def look_at(recipient: str) -> None:
    """See whether the recipient's mailbox would take a letter now, without making or writing anything. Raises DeliveryFailed."""
    with closing(Destination(recipient)) as destination:
        destination.check()


def replaced(recipient: str) -> MaildirReplaced | VolumeMissing | None:
    """The failure where another directory than the known one stands in the recipient's place, or none, or the volume is missing."""
    try:
        look_at(recipient)
    except (MaildirReplaced, VolumeMissing) as error:
        return error
    except DeliveryFailed:
        return None
    return None


def forget_marker(recipient: str) -> None:
    """From now on what stands in the recipient's place is the right directory, on the right volume. Raises RecipientInvalid.

    If nothing stands there, the next delivery makes it.
    """
    layout = _layout()
    place = layout.template.place(recipient)
    path = str(layout.directory(place))
    if LocalMarker.objects.filter(path__startswith=_within(place.root)).exclude(path=path).exists():
        LocalMarker.objects.update_or_create(path=path, defaults={"marker": ADOPTED})
    else:
        LocalMarker.objects.filter(path=path).delete()


def _record(path: str, marker: str) -> None:
    """Raises MaildirReplaced where another directory was recorded meanwhile."""
    LocalMarker.objects.filter(path=path, marker=ADOPTED).update(marker=marker)
    row, _ = LocalMarker.objects.get_or_create(path=path, defaults={"marker": marker})
    if row.marker != marker:
        raise MaildirReplaced(f"{path}: another directory was recorded here meanwhile")


def _volume_is_there(root: Path) -> bool:
    """Whether the volume at `root` is the one that was recorded, or holds a known Maildir, or nothing is known of it."""
    row = LocalMarker.objects.filter(path=_within(root)).first()
    if row and volume_marker(root) == row.marker:
        return True
    known = _known_below(root)
    return _any_is_there(known) if known or row else True


def _any_is_there(maildirs: Mapping[str, str]) -> bool:
    return any(is_maildir(Path(path), marker) for path, marker in maildirs.items())


def _known_below(directory: Path) -> dict[str, str]:
    """The paths and markers of the Maildirs that are known below this directory, the newest first."""
    within, spool = _within(directory), _within(settings.DATA_DIR / _SPOOL)
    rows = LocalMarker.objects.filter(path__startswith=within).exclude(path__endswith="/").exclude(marker=ADOPTED)
    found = rows.order_by("-id").values_list("path", "marker")
    # SQLite's LIKE does not tell capital letters from small ones.
    return {path: marker for path, marker in found if path.startswith(within) and not path.startswith(spool)}


def _mark_volume(root: Path) -> None:
    """A Maildir below it is the known one, so this is the right volume."""
    if marker := make_volume_marker(root, f"draft-{secrets.token_hex(8)}"):
        LocalMarker.objects.update_or_create(path=_within(root), defaults={"marker": marker})


def _within(directory: Path) -> str:
    """How the paths of all that lies in `directory` begin. The marker of a root is recorded under it: no Maildir is called so."""
    return f"{directory}/".replace("//", "/")


def check_delivery(value: str) -> None:
    """Whether letters can be delivered as `value` (UTM_MAIL_DELIVERY) says. Raises ValueError with the reason."""
    if value.startswith(SCHEME):
        MaildirLayout.parse(value)
    else:
        MailServer.parse(value)


def _layout() -> MaildirLayout:
    """Where Maildirs are, or the directories in which letters wait to be sent."""
    value: str = settings.UTM_MAIL_DELIVERY
    if value.startswith(SCHEME):
        return MaildirLayout.parse(value)
    return MaildirLayout(PathTemplate(f"{settings.DATA_DIR}/{_SPOOL}/{{domain}}/{{local}}"))


def _mailbox(
    recipient: str, layout: MaildirLayout, place: RootedPath, marker: str | None, end: Callable[[], float]
) -> Maildir | SpooledMailbox:
    if settings.UTM_MAIL_DELIVERY.startswith(SCHEME):
        return layout.mailbox(place, marker)
    server = MailServer.parse(settings.UTM_MAIL_DELIVERY)
    return SpooledMailbox(server, recipient, place, marker, end=end)


@functools.lru_cache(maxsize=2**15)
def _key(template: PathTemplate, recipient: str) -> str:
    try:
        return str(template.place(recipient).path)
    except RecipientInvalid:
        return recipient.lower()
