"""Standard output and standard error without blocking: neither a hanging reader nor an outage holds up a poll.

A pipe whose reader hangs is full after 64 KiB. After that a write blocks for ever: in a poll, in a signal handler, under a lock.
So a thread writes the lines, out of a bounded queue. Lines that find it full are dropped, and their number is written when the
reader goes on. Of repeated warnings only some are written, fewer as time goes on.
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
"""How many lines may wait for a slow reader."""
PARTING_SECONDS = 1.0
"""How long the process waits at its end for unwritten lines."""

BURST = 5
"""How many warnings of one kind are written before some are left out."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds between two that are written. The pause doubles each time."""
QUIET_SECONDS = 300.0
"""After so long without a warning of this kind, the count begins anew."""
KINDS = 20_000
"""How many kinds are remembered: more than there are rules, because each rule may have one."""


class LineWriter:
    """Writes to a descriptor from a thread, which starts with the first line, in a forked child too."""

    def __init__(self, descriptor: int, lines: int = LINES) -> None:
        self._descriptor = descriptor
        self._limit = lines
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.drain)

    def _begin(self) -> None:
        self._waiting: SimpleQueue[str | Event] = SimpleQueue()
        self._lock = RLock()  # a signal handler may print in the middle of `put`
        self._thread: Thread | None = None
        self._dropped = 0

    def put(self, text: str) -> None:
        """Queue `text`. Never blocks."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                with suppress(RuntimeError):  # too many threads now: the next line tries again
                    self._thread = Thread(target=self._write_all, name="output", daemon=True)
                    self._thread.start()
            if self._waiting.qsize() < self._limit:
                self._waiting.put(text)
            else:
                self._dropped += 1

    def drain(self, seconds: float = PARTING_SECONDS) -> None:
        """Wait until everything so far is written, at most `seconds`."""
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
            except BlockingIOError:  # another process made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return  # the reader is gone for good


STDOUT, STDERR = LineWriter(1), LineWriter(2)


class OutputStream(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`, for prints and tracebacks of libraries."""

    encoding = "utf-8"

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._writer.put(harmless(text))
        return len(text)


def take_over() -> None:
    """Replace `sys.stdout` and `sys.stderr`, so that printing in this process never blocks."""
    sys.stdout, sys.stderr = OutputStream(STDOUT), OutputStream(STDERR)


@dataclass(slots=True)
class _Kind:
    passed: int = 0
    left_out: int = 0
    pause: float = FIRST_PAUSE
    next_at: float = 0.0
    heard_at: float = 0.0


@dataclass(slots=True)
class Repeats:
    """Decides which of repeated warnings are written."""

    kinds: dict[tuple[str, int, str], _Kind] = field(default_factory=dict)

    def admit(self, kind: tuple[str, int, str], now: float) -> int | None:
        """How many of this kind were left out since the last one that was written; None if this one is left out too."""
        known = self.kinds.pop(kind, None)
        if known is None or now - known.heard_at > QUIET_SECONDS:
            known = _Kind(left_out=known.left_out if known else 0)
        self.kinds[kind] = known  # the kinds stay in the order in which they were last seen
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
"""What differs between two lines of a library that mean the same: task ids, numbers of attempts, seconds."""


def kind_of(record: logging.LogRecord) -> tuple[str, int, str]:
    """The same for warnings that mean the same. Figures count only in our own messages, because they name rules by number."""
    message = record.getMessage()[:300]
    ours = record.name.startswith(("fetchrules", "utm_mail"))
    return record.name, record.levelno, message if ours else _CHANGING.sub("#", message)


class HarmlessFormatter(logging.Formatter):
    """Escapes control characters, in tracebacks too, which may contain what a server sent."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


class StandardError(QueueHandler):
    """The handler of the log. Lines go to STDERR."""

    def __init__(self) -> None:
        super().__init__(SimpleQueue())  # unused: `enqueue` writes to STDERR
        self._repeats = Repeats()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The formatted record, with its kind if it is a warning or worse."""
        prepared: logging.LogRecord = super().prepare(record)
        vars(prepared)["kind"] = kind_of(record) if record.levelno >= logging.WARNING else None
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        kind = vars(record)["kind"]
        left_out = self._repeats.admit(kind, monotonic()) if kind else 0
        if left_out:
            STDERR.put(f"{left_out} lines like the next one were left out.\n")
        if left_out is not None:
            STDERR.put(f"{record.msg}\n")
