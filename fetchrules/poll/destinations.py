"""A recipient's local mailbox, as UTM_MAIL_DELIVERY says, and the markers by which its directory and volume are known."""

import functools
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from django.conf import settings

from fetchrules.delivery.dialogue import MailServer
from fetchrules.delivery.maildir import SCHEME, Maildir, MaildirLayout, is_maildir, make_volume_marker, volume_marker
from fetchrules.delivery.recipients import PathTemplate, RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from fetchrules.errors import (
    DeliveryFailed,
    FolderUnsupported,
    MailboxUnwritable,
    MaildirReplaced,
    RecipientInvalid,
    VolumeMissing,
)
from fetchrules.ledger.letters import all_unfinished
from fetchrules.models import FetchRule, LocalMarker
from fetchrules.rule import INBOX

_DETAIL = re.compile(r"[A-Za-z0-9!#$%&'*=?^_`{|}~-]+")
"""What may stand behind the separator in an address without being quoted (RFC 5321 §4.1.2)."""
ADOPTED = ""
"""Recorded instead of a marker: whatever directory is there, or made next, is the right one, on any volume."""

_SPOOL = "spool"
"""In the data directory: the directories in which letters for a mail server wait."""


class Destination:
    """One recipient's mailbox, and the recorded marker of its directory."""

    def __init__(self, recipient: str, into: str = "", end: Callable[[], float] = lambda: math.inf) -> None:
        """Touches nothing yet. `into`: a folder of the mailbox, empty for the usual one. A mail server is sent no letter after
        `end`, by the monotonic clock. Raises RecipientInvalid, FolderUnsupported.
        """
        layout = _layout()
        self._place = layout.template.place(recipient)
        self._path = str(maildir_of(recipient, into).path)
        known = LocalMarker.objects.filter(path=self._path).first()
        self._adopted = known is not None and known.marker == ADOPTED
        self._recorded = known is not None and not self._adopted
        self._sealed = False
        marker = known.marker if known and self._recorded else None
        self.mailbox: Maildir | SpooledMailbox
        if delivers_into_maildirs():
            self.mailbox = Maildir(self._place, marker, folder=layout.into(into), utf8=layout.utf8)
        else:
            server = MailServer.parse(settings.UTM_MAIL_DELIVERY)
            self.mailbox = SpooledMailbox(server, _with_detail(recipient, into), self._place, marker, end=end)

    def prepare(self, octets: int) -> None:
        """Prepare the mailbox; records a new marker before the first letter.

        Raises DeliveryFailed: MaildirReplaced for a copy that lacks letters in hand, VolumeMissing if a Maildir would have to be
        made on an unknown volume.
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
        """Accept a mailbox that moved to another disk, unless it lacks a letter in hand."""
        if not self.mailbox.staging.sealed:
            waiting = all_unfinished().filter(directory=self.mailbox.staging.marker)
            self.mailbox.staging.seal(list(waiting.values_list("file_name", flat=True)))

    def _require_volume(self) -> None:
        """Raises VolumeMissing. A mail server's spool lies beside the database, so its volume is not checked."""
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

    def check(self) -> None:
        """Raises DeliveryFailed if no letter could be delivered. Makes no mailbox."""
        if not self.mailbox.exactly_once or self._recorded:
            self.prepare(0)
            return
        self._require_volume()
        nearest = next(path for path in (self._place.path, *self._place.path.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise MailboxUnwritable(str(nearest))

    def close(self) -> None:
        self.mailbox.close()


def paths_of(rule: FetchRule) -> set[str]:
    """The directories that the rule delivers into, as `LocalMarker.path` has them; none for an invalid recipient."""
    try:
        return {str(maildir_of(rule.recipient, into).path) for into in ("", *(name for _, name in rule.into))}
    except RecipientInvalid:
        return set()


def delivers_into_maildirs() -> bool:
    """Whether letters go into Maildirs, where they keep their times and flags, and not to a mail server (LMTP, SMTP)."""
    return settings.UTM_MAIL_DELIVERY.startswith(SCHEME)


def maildir_of(recipient: str, into: str = "") -> RootedPath:
    """The Maildir of the recipient's letters for this folder, or their spool for a mail server. Raises RecipientInvalid."""
    layout = _layout()
    return layout.maildir(layout.template.place(recipient), into if delivers_into_maildirs() else "")


def folders_of(recipient: str) -> set[str]:
    """The folders of the recipient's mailbox that rules deliver into; the empty one is the usual one."""
    rules = FetchRule.objects.filter(recipient__iexact=recipient)
    return {"", *(name for into in rules.values_list("into", flat=True) for _, name in into)}


def mailbox_key(recipient: str) -> str:
    """The same for all recipients of one local mailbox: its path; for an invalid one the address in lower case."""
    return _key(_layout().template, recipient)


def look_at(recipient: str, into: str = "") -> None:
    """Raises DeliveryFailed if the recipient's mailbox would take no letter now. Writes nothing."""
    with closing(Destination(recipient, into)) as destination:
        destination.check()


def replaced(recipient: str) -> MaildirReplaced | VolumeMissing | None:
    """The failure if a directory of the recipient's is not the known one, or is missing, or its volume is."""
    return next((error for _, error in _replaced(recipient)), None)


def forget_marker(recipient: str) -> None:
    """Accept the directories in the place that are not the known ones, or those that the next deliveries make, on any volume.

    Those that are known stay so. Raises RecipientInvalid.
    """
    root = maildir_of(recipient).root
    wrong = [into for into, _ in _replaced(recipient)] if delivers_into_maildirs() else [""]
    paths = {str(maildir_of(recipient, into).path) for into in wrong}
    if LocalMarker.objects.filter(path__startswith=_within(root)).exclude(path__in=paths).exists():
        for path in sorted(paths):
            LocalMarker.objects.update_or_create(path=path, defaults={"marker": ADOPTED})
    else:
        LocalMarker.objects.filter(path__in=paths).delete()


def _replaced(recipient: str) -> Iterator[tuple[str, MaildirReplaced | VolumeMissing]]:
    """The folders of the recipient's mailbox whose directories are not the known ones, with the failures."""
    for into in sorted(folders_of(recipient)):
        try:
            look_at(recipient, into)
        except (MaildirReplaced, VolumeMissing) as error:
            yield into, error
        except DeliveryFailed:
            continue


def _with_detail(recipient: str, into: str) -> str:
    """The address by which a mail server delivers into a folder of the mailbox. Raises FolderUnsupported."""
    if not into or into.upper() == INBOX:
        return recipient
    if not settings.UTM_MAIL_DETAIL or not _DETAIL.fullmatch(into):
        raise FolderUnsupported(into)
    local, _, domain = recipient.rpartition("@")
    return f"{local}{settings.UTM_MAIL_DETAIL}{into}@{domain}"


def _record(path: str, marker: str) -> None:
    """Raises MaildirReplaced if another directory was recorded meanwhile."""
    LocalMarker.objects.filter(path=path, marker=ADOPTED).update(marker=marker)
    row, _ = LocalMarker.objects.get_or_create(path=path, defaults={"marker": marker})
    if row.marker != marker:
        raise MaildirReplaced(f"{path}: another directory was recorded here meanwhile")


def _volume_is_there(root: Path) -> bool:
    """Whether the volume at `root` is the recorded one, or holds a known Maildir, or nothing is known of it."""
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
    """Record the volume, since a Maildir on it is the known one."""
    if marker := make_volume_marker(root, f"draft-{secrets.token_hex(8)}"):
        LocalMarker.objects.update_or_create(path=_within(root), defaults={"marker": marker})


def _within(directory: Path) -> str:
    """The prefix of all paths in `directory`. A root's marker is recorded under it, since no Maildir bears such a name."""
    return f"{directory}/".replace("//", "/")


def check_delivery(value: str) -> None:
    """Raises ValueError with the reason if `value` (UTM_MAIL_DELIVERY) cannot be used."""
    if value.startswith(SCHEME):
        MaildirLayout.parse(value)
    else:
        MailServer.parse(value)


def _layout() -> MaildirLayout:
    """Where Maildirs are, or the directories in which letters wait to be sent."""
    value: str = settings.UTM_MAIL_DELIVERY
    if value.startswith(SCHEME):
        return MaildirLayout.parse(value, utf8=settings.UTM_MAIL_FOLDER_NAMES == "utf-8")
    return MaildirLayout(PathTemplate(f"{settings.DATA_DIR}/{_SPOOL}/{{domain}}/{{local}}"))


@functools.lru_cache(maxsize=2**15)
def _key(template: PathTemplate, recipient: str) -> str:
    try:
        return str(template.place(recipient).path)
    except RecipientInvalid:
        return recipient.lower()
