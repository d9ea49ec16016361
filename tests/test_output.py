"""Lines on their way out: a reader that hangs holds nobody up, and an outage does not fill the log."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.interop.installation import ROOT, Installation
from tests.interop.process import free_ports
from tests.interop.redis_server import Redis
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, Mailbox, Pop3Server
from tests.waiting import until
from utm_mail.output import BURST, FIRST_PAUSE, KINDS, QUIET_SECONDS, LineWriter, Repeats, kind_of

ALIVE = "from fetchrules.models import Heartbeat as H; print(*sorted(H.objects.values_list('part', flat=True)))"
DUE = "from django.utils.timezone import now; from fetchrules.models import FetchRule as R; R.objects.update(next_poll_at=now())"
KIND = ("celery.beat", logging.ERROR, "Message Error")


@contextmanager
def hung_reader() -> Iterator[tuple[int, int]]:
    """A pipe that is read by nobody."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        with suppress(OSError):
            os.close(writing)


def fill(descriptor: int) -> None:
    """Until there is no room in the pipe for an octet."""
    os.set_blocking(descriptor, False)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(descriptor, b"x" * size)
    os.set_blocking(descriptor, True)


def test_it_waits_for_no_reader_and_says_what_it_dropped() -> None:
    with hung_reader() as (reading, writing):
        fill(writing)
        writer = LineWriter(writing, lines=10)

        def put_many() -> None:
            for number in range(1000):
                writer.put(f"line {number}\n")

        putting = Thread(target=put_many, daemon=True)
        putting.start()
        putting.join(60)
        assert not putting.is_alive()
        said = b""
        while not said.endswith(b"line 9\n"):
            said += os.read(reading, 1 << 20)
        writer.put("the last one\n")
        while not said.endswith(b"the last one\n"):
            said += os.read(reading, 1 << 20)
        assert b" lines were dropped: nobody read them.\n" in said


def test_it_writes_in_a_forked_child_too() -> None:
    with hung_reader() as (reading, writing):
        writer = LineWriter(writing)
        writer.put("parent\n")
        writer.drain(60)
        child = os.fork()
        if not child:
            writer.put("child\n")
            writer.drain(60)
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 1000) == b"parent\nchild\n"


def test_it_writes_when_there_is_a_thread_to_be_had_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with hung_reader() as (reading, writing):
        writer = LineWriter(writing)
        with monkeypatch.context() as exhausted:
            exhausted.setattr(Thread, "start", no_thread)
            writer.put("first\n")
        writer.put("second\n")
        writer.drain(60)
        os.set_blocking(reading, False)
        assert os.read(reading, 1000) == b"first\nsecond\n"


def test_it_lets_fewer_and_fewer_of_a_kind_through() -> None:
    repeats, passed = Repeats(), []
    for second in range(86_400):
        left_out = repeats.admit(KIND, float(second))
        if left_out is not None:
            passed.append((second, left_out))
    assert [second for second, _ in passed[:BURST]] == list(range(BURST))
    assert len(passed) < 40
    assert sum(left_out for _, left_out in passed) + len(passed) > 80_000


def test_it_says_how_many_it_left_out_when_a_kind_comes_again() -> None:
    repeats = Repeats()
    said = [repeats.admit(KIND, 0.0) for _ in range(BURST + 3)]
    assert said == [0] * BURST + [None] * 3
    assert repeats.admit(KIND, FIRST_PAUSE) == 3
    assert repeats.admit(KIND, FIRST_PAUSE + QUIET_SECONDS + 1) == 0


def test_it_keeps_kinds_apart_and_forgets_the_oldest() -> None:
    repeats = Repeats()
    for number in range(3 * KINDS):
        assert repeats.admit(("fetchrules", logging.WARNING, f"rule {number}"), 0.0) == 0
    assert len(repeats.kinds) == KINDS


@pytest.mark.parametrize(
    ("name", "first", "second", "alike"),
    [
        ("celery.worker", "Trying again in 2.00 seconds... (1/100)", "Trying again in 4.00 seconds... (2/100)", True),
        ("celery.app.trace", f"Task a[{'1a' * 18}] raised", f"Task a[{'3b' * 18}] raised", True),
        ("celery.beat", "Connection refused", "Connection reset", False),
        ("fetchrules.poll", "rule 1 failed", "rule 2 failed", False),
    ],
)
def test_it_knows_what_is_of_one_kind(name: str, first: str, second: str, alike: bool) -> None:
    records = [logging.LogRecord(name, logging.ERROR, "", 0, text, (), None) for text in (first, second)]
    assert (kind_of(records[0]) == kind_of(records[1])) is alike


@contextmanager
def one_letter(installation: Installation) -> Iterator[Mailbox]:
    """A mailbox that a rule of `installation` collects from."""
    mailbox = Mailbox(PASSWORD, Maildrop([letter("the first")]))
    with Pop3Server({"petrov": mailbox}) as server:
        installation.paste(f"127.0.0.1:pop3 petrov {PASSWORD} i.petrov@mydomain.ru port {server.port}\n")
        yield mailbox


def begun(installation: Installation, output: int, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=installation.env,
        cwd=ROOT,
    )


def test_up_collects_and_ends_though_nobody_reads_what_it_says(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.prepare()
    (port,) = free_ports(1)
    with hung_reader() as (_reading, writing), one_letter(installation) as mailbox:
        fill(writing)
        process = begun(installation, writing, str(ROOT / "manage.py"), "up", "--port", str(port))
        try:
            until(lambda: not mailbox.maildrop.letters, 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.interop
def test_a_worker_collects_and_ends_though_nobody_reads_what_it_says(tmp_path: Path, redis_server: Redis) -> None:
    installation = Installation(tmp_path, {"UTM_MAIL_REDIS_URL": redis_server.new_url()})
    installation.prepare()
    with hung_reader() as (_reading, writing), one_letter(installation) as mailbox:
        celery = ("-m", "celery", "-A", "utm_mail")
        worker = begun(installation, writing, *celery, "worker")
        beat = begun(installation, writing, *celery, "beat")
        try:
            until(lambda: not mailbox.maildrop.letters, 60)
            # Celery's own banners are printed at the start, past everything that is ours.
            until(lambda: installation.manage("shell", "-v0", "-c", ALIVE).stdout == "beat worker\n", 60)
            fill(writing)
            mailbox.maildrop.add(letter("the second"))
            installation.manage("shell", "-v0", "-c", DUE)
            until(lambda: not mailbox.maildrop.letters, 60)
            for process in (worker, beat):
                process.send_signal(signal.SIGTERM)
            assert [process.wait(60) for process in (worker, beat)] == [0, 0]
        finally:
            for process in (worker, beat):
                process.kill()
                process.wait()
