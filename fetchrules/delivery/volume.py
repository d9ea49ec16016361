"""The volume that the Maildirs lie on. A marker in its root tells it from the directory that it is mounted on.

The root is the fixed part of UTM_MAIL_DELIVERY. The marker is made and read as those of the Maildirs are.
"""

from contextlib import suppress
from pathlib import Path

from fetchrules.delivery.disk import open_place
from fetchrules.delivery.maildir import STAGING
from fetchrules.delivery.marker import make_marker, read_marker
from fetchrules.delivery.target import Place
from fetchrules.errors import MaildirReplaced

DIRECTORY = ".utm-mail"
"""Of ours, in the root."""


def volume_marker(root: Path) -> str | None:
    """The id of the volume; None where there is none, or none can be read."""
    return _marker_in(Place(root, (DIRECTORY,)))


def is_maildir(directory: Path, marker: str) -> bool:
    """Whether the Maildir that `marker` was recorded for is at `directory`."""
    return _marker_in(Place(directory, ("tmp", STAGING))) == marker


def make_volume_marker(root: Path, draft_name: str) -> str | None:
    """The id of the volume, a new one if there was none, durable when this returns; None where we may not write.

    `draft_name` is what the marker is written as before it is put in place.
    """
    with suppress(OSError, MaildirReplaced), open_place(Place(root, (DIRECTORY,)), make=True).readable() as directory:
        return make_marker(directory, draft_name)
    return None


def _marker_in(place: Place) -> str | None:
    with suppress(OSError, MaildirReplaced), open_place(place) as directory:
        return read_marker(directory)
    return None
