"""A Maildir on the disk, a spool for a mail server, and the ways in which a disk fails."""

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fetchrules.delivery.dialogue import Handover, MailServer, Patience
from fetchrules.delivery.maildir import Maildir
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from tests.servers.lmtp import MailSink, serving
from tests.servers.loopback import LoopbackServer

RECIPIENT = "I.Petrov@example.org"

OpenMaildir = Callable[..., Maildir]
OpenSpool = Callable[..., SpooledMailbox]


@pytest.fixture
def place(tmp_path: Path) -> RootedPath:
    """Where the mailbox is: nothing below the root exists yet."""
    return RootedPath(tmp_path, ("example.org", "petrov"))


@pytest.fixture
def open_maildir(place: RootedPath) -> Iterator[OpenMaildir]:
    """Maildirs at `place`, prepared for a small letter, and closed afterwards."""
    opened: list[Maildir] = []

    def opener(marker: str | None = None, *, folder: str = "") -> Maildir:
        maildir = Maildir(place, marker, folder=folder, reserve=0, host="mx.example.org")
        opened.append(maildir)
        maildir.prepare(1000)
        return maildir

    yield opener
    for maildir in opened:
        maildir.close()


@pytest.fixture
def maildir(open_maildir: OpenMaildir) -> Maildir:
    """A new Maildir, prepared."""
    return open_maildir()


@pytest.fixture
def sink() -> MailSink:
    """What the server got."""
    return MailSink()


@pytest.fixture
def server(sink: MailSink) -> Iterator[LoopbackServer]:
    """An LMTP server."""
    with serving(sink) as running:
        yield running
    assert running.failures == []


@pytest.fixture
def open_spool(server: LoopbackServer, place: RootedPath) -> Iterator[OpenSpool]:
    """Spools for RECIPIENT on the server."""
    with ExitStack() as stack:

        def opener(
            marker: str | None = None, *, recipient: str = RECIPIENT, patience: Patience | None = None
        ) -> SpooledMailbox:
            target = MailServer(Handover.LMTP, "127.0.0.1", server.port, patience=patience or Patience())
            spool = SpooledMailbox(target, recipient, place, marker, reserve=0, host="mx.example.org")
            stack.callback(spool.close)
            return spool

        yield opener


@pytest.fixture
def spool(open_spool: OpenSpool) -> SpooledMailbox:
    """A new spool."""
    return open_spool()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB and 16 files."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=16", "tmpfs", tmp_path], check=False)
    if mount.returncode:
        pytest.skip("only root can mount a small file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)  # a test that failed may still have it open


@contextmanager
def file_size_limit(octets: int) -> Iterator[None]:
    """Writing beyond `octets` of any file fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def aged(staging: Path, name: str) -> str:
    """Rename a staged letter to a name of long ago; the name."""
    old = f"1.{name.partition('.')[2]}"
    (staging / name).rename(staging / old)
    return old


def descriptors() -> set[str]:
    """The open file descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}
