"""Directories of the local disk, reached without symlinks; their OSErrors become DeliveryFailed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fetchrules.delivery.recipients import RootedPath
from fetchrules.errors import DeliveryFailed, DiskFull, Exhausted, MailboxUnwritable, MaildirReplaced

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC


class WriterExhausted(Exhausted, DeliveryFailed):
    """This machine has no descriptors or memory left; the mailbox and its volume are not at fault."""


_MEANINGS: dict[int | None, type[DeliveryFailed]] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), DiskFull),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP), MailboxUnwritable),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM), WriterExhausted),
}


def failure(error: OSError, what: str) -> DeliveryFailed:
    return _MEANINGS.get(error.errno, DeliveryFailed)(f"{what}: {error.strerror}")


@contextmanager
def translated(what: str, *, missing: type[DeliveryFailed] = DeliveryFailed) -> Iterator[None]:
    """An OSError leaves this block as DeliveryFailed, FileNotFoundError as `missing`."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(f"{what}: {error.strerror}") from error
    except OSError as error:
        raise failure(error, what) from error


class OpenDirectory:
    """An open directory, used by its descriptor, so that a change of the path redirects nothing. Methods raise OSError."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> "OpenDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)

    def step(self, name: str, *, make: bool = False) -> "OpenDirectory":
        """The directory `name` in this one, good only for going further. With `make`, a missing one is made (0700), durably.

        With `make`, one that another user could have planted raises PermissionError.
        """
        if make:
            self._make(name)
        found = OpenDirectory(os.open(name, _DIRECTORY | os.O_NOFOLLOW | os.O_PATH, dir_fd=self.fd))
        if make and (planter := self._planter(found)):
            found.close()
            words = f"made by another user (uid {planter}) in a directory that others may write to"
            raise PermissionError(errno.EPERM, words)
        return found

    def readable(self) -> "OpenDirectory":
        """This directory with the right to list and to sync it, in place of the former object."""
        with self:
            return OpenDirectory(os.open(".", _DIRECTORY, dir_fd=self.fd))

    def sync(self) -> None:
        os.fsync(self.fd)

    def _planter(self, found: "OpenDirectory") -> int | None:
        """The owner of `found`, if another user may have made it here: they would read the mail."""
        here, there = os.fstat(self.fd), os.fstat(found.fd)
        others_may = here.st_mode & _OTHERS_MAY_WRITE and there.st_uid not in {os.geteuid(), 0, here.st_uid}
        return there.st_uid if others_may else None

    def _make(self, name: str) -> None:
        """Sync an existing one too: a crash may have left its name undurable."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.fd)
        with suppress(PermissionError), OpenDirectory(os.open(".", _DIRECTORY, dir_fd=self.fd)) as parent:
            parent.sync()


def open_place(place: RootedPath, *, make: bool = False) -> OpenDirectory:
    """The directory at `place`, good for going further; `make` makes the path, durably. Raises OSError."""
    here = _open_root(place.root, make=make)
    for part in place.parts:
        with here as parent:
            here = parent.step(part, make=make)
    return here


def check_unchanged(place: RootedPath, held: OpenDirectory) -> None:
    """Raises MaildirReplaced unless `place` still leads to the open directory `held`, DeliveryFailed."""
    with translated(str(place.path), missing=MaildirReplaced), open_place(place) as now:
        if not os.path.samestat(os.fstat(now.fd), os.fstat(held.fd)):
            raise MaildirReplaced(f"{place.path}: another directory is there now")


def _open_root(root: Path, *, make: bool) -> OpenDirectory:
    try:
        return OpenDirectory(os.open(root, _DIRECTORY | os.O_PATH))
    except FileNotFoundError:
        if not make:
            raise
    with _open_root(root.parent, make=True) as parent:
        return parent.step(root.name, make=True)
