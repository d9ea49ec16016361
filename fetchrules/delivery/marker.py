"""The marker: a file with a random id, beside the staged letters, by which their directory is known again.

It lives and dies with the directory: where the marker is, a letter that is missing was delivered; where it is not, or
is another, the directory was unmounted, restored or emptied, and nothing follows from what is missing.
"""

import os
import re
import secrets
from contextlib import suppress

from fetchrules.delivery.disk import Directory
from fetchrules.errors import MaildirReplaced

FILE_NAME = "marker"

_MARKER = re.compile(rb"([0-9a-f]{32})\n")


def read_marker(directory: Directory) -> str | None:
    """The id in this directory, None if there is none. Raises MaildirReplaced for a file that holds no id, OSError."""
    # O_NONBLOCK: where others may write, the name can be a FIFO, whose opening would wait for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(FILE_NAME, flags, dir_fd=directory.fd)
    except FileNotFoundError:
        return None
    try:
        found = _MARKER.fullmatch(os.read(fd, 64))
    finally:
        os.close(fd)
    if found is None:
        raise MaildirReplaced("the marker holds no id")
    return found[1].decode()


def make_marker(directory: Directory, draft_name: str) -> str:
    """The id in this directory, a new one if there was none; durable when this returns.

    Written as `draft_name` and linked into place: of several makers one wins, and nobody reads half an id.
    Raises MaildirReplaced, OSError.
    """
    if read_marker(directory) is None:
        fd = os.open(draft_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory.fd)
        with os.fdopen(fd, "wb") as draft:  # a single os.write may write less than it was given
            draft.write(f"{secrets.token_hex(16)}\n".encode())
            draft.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(draft_name, FILE_NAME, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
        os.unlink(draft_name, dir_fd=directory.fd)
    directory.sync()
    made = read_marker(directory)
    if made is None:
        raise MaildirReplaced("the marker vanished while it was made")
    return made
