"""What can be strange about a machine although the product is sound: its clock, its disk, how much it writes at a time."""

import os
import resource
import time
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from fetchrules.delivery.maildir import Maildir

FILE_SIZE = 256 * 1024
"""Octets of the largest file where files have to be small: some letters are longer, and the database is."""


def _short_writes() -> None:
    """The system may always write less than it was given."""
    write = os.write

    def writing(fd: int, data: bytes | memoryview) -> int:
        return write(fd, memoryview(data)[: max(1, len(data) // 2)])

    vars(os)["write"] = writing


def _small_files() -> None:
    """Writing beyond FILE_SIZE of any file fails with EFBIG, after a short write."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))


def _no_reserve() -> None:
    """The disk may be filled to its last octet."""
    assert Maildir.__init__.__kwdefaults__ is not None
    Maildir.__init__.__kwdefaults__["reserve"] = 0


def _clock(jump: timedelta) -> Callable[[], None]:
    def change() -> None:
        now, seconds = timezone.now, time.time
        vars(timezone)["now"] = lambda: now() + jump
        vars(time)["time"] = lambda: seconds() + jump.total_seconds()

    return change


CIRCUMSTANCES: dict[str, Callable[[], None]] = {
    "short writes": _short_writes,
    "small files": _small_files,
    "no reserve": _no_reserve,
    "an hour ahead": _clock(timedelta(hours=1)),
    "two days ahead": _clock(timedelta(days=2)),
    "a year ahead": _clock(timedelta(days=366)),
    "an hour behind": _clock(timedelta(hours=-1)),
    "a year behind": _clock(timedelta(days=-366)),
}
