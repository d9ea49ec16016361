"""Give delivered letters the time of their arrival at the remote server, where their files were made without it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from fetchrules.delivery.disk import OpenDirectory, open_place, translated
from fetchrules.delivery.fingerprint import MAX_HEAD
from fetchrules.delivery.letterhead import arrival
from fetchrules.delivery.recipients import RootedPath

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Delivered:
    """When a letter of ours arrived at the remote server, if that told us, and when it was delivered."""

    received_at: datetime | None
    delivered_at: datetime


@dataclass(slots=True)
class Redated:
    """Numbers of letters: `right`: they had their time; `undated`: no time of arrival is known."""

    changed: int = 0
    right: int = 0
    undated: int = 0


def redate(maildir: RootedPath, ours: Mapping[str, Delivered], *, dry_run: bool) -> Redated:
    """Set the times of those letters in `maildir` that are still under the names of `ours`, flags aside. Raises DeliveryFailed."""
    done, known = Redated(), {_without_flags(name): letter for name, letter in ours.items()}
    for part in ("new", "cur"):
        place = maildir.below(part)
        with translated(str(place.path)), open_place(place).readable() as directory:
            for file, name in _letters(directory):
                if name in known:
                    _redate(directory, file, known[name], done, dry_run=dry_run)
    return done


def _letters(directory: OpenDirectory) -> Iterator[tuple[str, str]]:
    """The files, each with its name without the flags."""
    with os.scandir(directory.fd) as entries:
        yield from ((entry.name, _without_flags(entry.name)) for entry in entries)


def _without_flags(name: str) -> str:
    return name.partition(":")[0]


def _redate(directory: OpenDirectory, file: str, letter: Delivered, done: Redated, *, dry_run: bool) -> None:
    try:
        fd = os.open(file, _READ, dir_fd=directory.fd)
    except FileNotFoundError:
        return  # somebody has moved or removed it meanwhile
    try:
        head = os.read(fd, MAX_HEAD).partition(b"\n\n")[0]
        arrived = arrival(letter.received_at, head, letter.delivered_at)
        if arrived is None:
            done.undated += 1
        elif int(os.fstat(fd).st_mtime) == int(arrived.timestamp()):
            done.right += 1
        else:
            done.changed += 1
            if not dry_run:
                os.utime(fd, (arrived.timestamp(), arrived.timestamp()))
    finally:
        os.close(fd)
