"""What the processes print and log, on its way out: it never holds anybody up, and does not grow with an outage.

A pipe whose reader hangs is full after 64 KiB, and then a write to it waits for ever: in a poll, in a signal handler, under a
lock. So lines go to a thread that writes them, through a queue of bounded length; those that find no room are dropped and counted,
and the count is written when the reader goes on. And of warnings that say the same again and again only some are let through, fewer
as time goes on.
"""

import atexit
import io
import logging
import os
import re
import select
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from queue import SimpleQueue
from threading import Event, RLock, Thread
from time import monotonic

from fetchrules.errors import harmless

LINES = 10_000
"""How many lines wait for a reader that is slow."""
PARTING_SECONDS = 1.0
"""How long the end of the process waits for what is not written yet."""

BURST = 5
"""How many warnings of one kind are let through before some are left out."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds from one that is let through to the next: doubled each time."""
QUIET_SECONDS = 300.0
"""A kind that was not heard of for so long has ended: the next one begins anew."""
KINDS = 20_000
"""How many kinds are remembered: more than there are rules, of which each may have one."""


class Writer:
    """Writes to a descriptor in a thread of its own, which begins with the first line, in a forked child as well."""

    def __init__(self, descriptor: int, lines: int = LINES) -> None:
        self._descriptor = descriptor
        self._limit = lines
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.drain)

    def _begin(self) -> None:
        self._waiting: SimpleQueue[str | Event] = SimpleQueue()
        self._lock = RLock()  # a signal handler may interrupt a line with one of its own
        self._thread: Thread | None = None
        self._dropped = 0

    def put(self, text: str) -> None:
        """Have it written, soon; never waits."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                with suppress(RuntimeError):  # no thread can be had now: the next line tries again
                    self._thread = Thread(target=self._write_all, name="output", daemon=True)
                    self._thread.start()
            if self._waiting.qsize() < self._limit:
                self._waiting.put(text)
            else:
                self._dropped += 1

    def drain(self, seconds: float = PARTING_SECONDS) -> None:
        """Wait until everything so far is written, but no longer than that."""
        if self._thread is not None:
            done = Event()
            self._waiting.put(done)
            done.wait(seconds)

    def _write_all(self) -> None:
        told = 0
        while True:
            item = self._waiting.get()
            if isinstance(item, Event):
                item.set()
                continue
            if (dropped := self._dropped) != told:
                self._write(f"{dropped - told} lines were dropped: nobody read them.\n")
                told = dropped
            self._write(item)

    def _write(self, text: str) -> None:
        rest = text.encode("utf-8", "backslashreplace")
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody else made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return  # the reader is gone for good: there is nobody to tell


STDOUT, STDERR = Writer(1), Writer(2)


class Stream(io.TextIOBase):
    """A writer in the place of `sys.stdout` or `sys.stderr`: for prints and tracebacks that are not ours."""

    encoding = "utf-8"

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def writable(self) -> bool:
        """It is nothing else."""
        return True

    def write(self, text: str) -> int:
        """All of it, some time."""
        if text:
            self._writer.put(harmless(text))
        return len(text)


def take_over() -> None:
    """From now on nothing that Python code prints in this process waits for a reader."""
    sys.stdout, sys.stderr = Stream(STDOUT), Stream(STDERR)


@dataclass(slots=True)
class _Kind:
    passed: int = 0
    left_out: int = 0
    pause: float = FIRST_PAUSE
    next_at: float = 0.0
    heard_at: float = 0.0


@dataclass(slots=True)
class Repeats:
    """Which warnings are the same again."""

    kinds: dict[tuple[str, int, str], _Kind] = field(default_factory=dict)

    def admit(self, kind: tuple[str, int, str], now: float) -> int | None:
        """None: leave it out. Else how many of its kind were left out since the last one that was let through."""
        known = self.kinds.pop(kind, None)
        if known is None or now - known.heard_at > QUIET_SECONDS:
            known = _Kind(left_out=known.left_out if known else 0)
        self.kinds[kind] = known  # the last one heard of stands last
        if len(self.kinds) > KINDS:
            del self.kinds[next(iter(self.kinds))]
        known.heard_at = now
        if known.passed >= BURST and now < known.next_at:
            known.left_out += 1
            return None
        if known.passed >= BURST:
            known.pause = min(2 * known.pause, LONGEST_PAUSE)
        known.passed += 1
        known.next_at = now + known.pause
        left_out, known.left_out = known.left_out, 0
        return left_out


_CHANGING = re.compile(r"[0-9a-f]{8}[0-9a-f-]{20,}|\d+(\.\d+)?")
"""What differs in two lines of a library that mean the same: task ids, numbers of tries, seconds."""


def kind_of(record: logging.LogRecord) -> tuple[str, int, str]:
    """Warnings of one kind say the same; our own name rules by their number, so that every figure counts in them."""
    message = record.getMessage()[:300]
    ours = record.name.startswith(("fetchrules", "utm_mail"))
    return record.name, record.levelno, message if ours else _CHANGING.sub("#", message)


class HarmlessFormatter(logging.Formatter):
    """What acts on a terminal instead of being shown is escaped, wherever in a line or a traceback it came from."""

    def format(self, record: logging.LogRecord) -> str:
        """As the format says."""
        return harmless(super().format(record))


class StandardError(QueueHandler):
    """The log on standard error."""

    def __init__(self) -> None:
        super().__init__(SimpleQueue())  # of which nothing is used: `enqueue` has the writer's
        self._repeats = Repeats()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The formatted text, made while what it tells of is as it was; with the kind of a warning."""
        prepared: logging.LogRecord = super().prepare(record)
        vars(prepared)["kind"] = kind_of(record) if record.levelno >= logging.WARNING else None
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand it to the writer, unless it says the same again."""
        kind = vars(record)["kind"]
        left_out = self._repeats.admit(kind, monotonic()) if kind else 0
        if left_out:
            STDERR.put(f"{left_out} lines like the next one were left out.\n")
        if left_out is not None:
            STDERR.put(f"{record.msg}\n")
