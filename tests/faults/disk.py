"""A disk whose power can be cut: a file system in a file, on a loop device, that forgets what it has not written down."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.installed import absent, program
from tests.waiting import until

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: the file system stops at once, as xfstests does it."""
_NO_LOG_FLUSH = struct.pack("I", 2)
"""Nothing more reaches the disk, the journal included: dirty pages and open transactions are lost."""
SIZE = 96 * 1024 * 1024


class Disk:
    """An ext4 file system at `place`."""

    def __init__(self, image: Path, place: Path) -> None:
        self.place = place
        self._image = image
        self.cuts = 0

    def mount(self) -> bool:
        """Mount it; the journal is replayed. False where this is not permitted."""
        command = ["mount", "-o", "loop", str(self._image), str(self.place)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def cut(self) -> None:
        """Take the power away. What is left is what the block layer saw; nobody may use the disk until `restart`."""
        self.cuts += 1
        directory = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(directory)

    def restart(self) -> None:
        """Power again, once every process that used the disk has ended."""
        until(self._unmount)
        assert self.mount()

    def _unmount(self) -> bool:
        return subprocess.run(["umount", str(self.place)], capture_output=True, check=False).returncode == 0


@contextmanager
def new_disk(directory: Path) -> Iterator[Disk]:
    """A fresh disk. Skips where loop devices cannot be used, or ext4 cannot be shut down."""
    image, place = directory / "image", directory / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([program("mkfs.ext4", "e2fsprogs"), "-q", "-F", str(image)], check=True, capture_output=True)
    disk = Disk(image, place)
    if not disk.mount():
        absent("a loop device cannot be mounted here: it takes root and a kernel with loop devices")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
