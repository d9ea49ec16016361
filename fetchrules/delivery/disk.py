"""The local disk's edge: OSErrors become DeliveryFailed here, and no symlink can redirect the way to a directory."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fetchrules.delivery.recipients import RootedPath
from fetchrules.errors import DeliveryFailed, DiskFull, Exhausted, MailboxUnwritable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC


class WriterExhausted(Exhausted, DeliveryFailed):
    """This machine has no descriptors or memory left to deliver with; the mailbox and its volume are not at fault."""


def failure(error: OSError, what: str) -> DeliveryFailed:
    """What this error means for a delivery; `what` was being worked on."""
    detail = f"{what}: {error.strerror}"
    if error.errno in _FULL:
        return DiskFull(detail)
    if error.errno in _UNWRITABLE:
        return MailboxUnwritable(detail)
    if error.errno in _EXHAUSTED:
        return WriterExhausted(detail)
    return DeliveryFailed(detail)


@contextmanager
def translated(what: str, *, missing: type[DeliveryFailed] = DeliveryFailed) -> Iterator[None]:
    """An OSError in this block leaves it as DeliveryFailed; a name that does not exist, as `missing`."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(f"{what}: {error.strerror}") from error
    except OSError as error:
        raise failure(error, what) from error


class OpenDirectory:
    """An open directory. What is done in it goes by its descriptor: exchanging the path later redirects nothing.

    Methods raise OSError; opening a symlink raises it with ENOTDIR.
    """

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> "OpenDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)

    def enter(self, name: str, *, make: bool = False) -> "OpenDirectory":
        """The directory `name` in this one. With `make`, one that is missing is made (0700), and its name is durable.

        Then one that is there is taken over only if nobody could have put it there before us to get at what it will hold.
        """
        return self._open(name, _DIRECTORY | os.O_NOFOLLOW, make=make)

    def step(self, name: str, *, make: bool = False) -> "OpenDirectory":
        """`enter` where reading is not permitted: good only for going further."""
        return self._open(name, _DIRECTORY | os.O_NOFOLLOW | os.O_PATH, make=make)

    def readable(self) -> "OpenDirectory":
        """This directory, now with the right to list it and to make its names durable; the other is closed."""
        with self:
            return OpenDirectory(os.open(".", _DIRECTORY, dir_fd=self.fd))

    def sync(self) -> None:
        os.fsync(self.fd)

    def is_now(self, other: "OpenDirectory") -> bool:
        """Whether both are the same directory on the disk."""
        return os.path.samestat(os.fstat(self.fd), os.fstat(other.fd))

    def _open(self, name: str, flags: int, *, make: bool) -> "OpenDirectory":
        if make:
            self._make(name)
        found = OpenDirectory(os.open(name, flags, dir_fd=self.fd))
        if make:
            try:
                self._refuse_planted(found)
            except PermissionError:
                found.close()
                raise
        return found

    def _refuse_planted(self, found: "OpenDirectory") -> None:
        """Raises PermissionError for a directory of another's where others may make some: its owner would read what comes."""
        here, there = os.fstat(self.fd), os.fstat(found.fd)
        if here.st_mode & _OTHERS_MAY_WRITE and there.st_uid not in {os.geteuid(), 0, here.st_uid}:
            words = f"made by another user (uid {there.st_uid}) in a directory that others may write to"
            raise PermissionError(errno.EPERM, words)

    def _make(self, name: str) -> None:
        """One that is there may have been left by a crash, or by somebody who did not make its name durable."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.fd)
        with suppress(PermissionError), OpenDirectory(os.open(".", _DIRECTORY, dir_fd=self.fd)) as parent:
            parent.sync()


def open_place(place: RootedPath, *, make: bool = False) -> OpenDirectory:
    """The directory at `place`, good for going further; with `make`, the way there is made, durably. Raises OSError."""
    here = _open_root(place.root, make=make)
    for part in place.parts:
        with here as parent:
            here = parent.step(part, make=make)
    return here


def _open_root(root: Path, *, make: bool) -> OpenDirectory:
    try:
        return OpenDirectory(os.open(root, _DIRECTORY | os.O_PATH))
    except FileNotFoundError:
        if not make:
            raise
    with _open_root(root.parent, make=True) as parent:
        return parent.step(root.name, make=True)
