"""Tells every wait for a server that the process is to end.

A server may be silent for minutes, but a process that is told to end has seconds. After the signal, a silence lasts at most
SILENCE_SECONDS, and no wait goes beyond GRACE_SECONDS, so a transfer that flows can finish. No letter is lost: letters are
safe here before they are deleted remotely.
"""

import math
import os
import threading
from time import monotonic

SILENCE_SECONDS = 2.0
GRACE_SECONDS = 12.0


class Stop(threading.Event):
    """Set when the process is told to end. `fileno` is readable from then on; `by`, by the monotonic clock, ends the last wait."""

    def __init__(self) -> None:
        super().__init__()
        self._open()
        os.register_at_fork(after_in_child=self._open)  # a child's end is not its parent's

    def set(self) -> None:
        if not self.is_set():
            self.by = monotonic() + GRACE_SECONDS
            super().set()
            os.write(self._writer, b"\n")

    def clear(self) -> None:
        if self.is_set():
            super().clear()
            os.read(self._reader, 1)
            self.by = math.inf

    def fileno(self) -> int:
        return self._reader

    def _open(self) -> None:
        self._reader, self._writer = os.pipe()
        self.by = math.inf


STOPPING = Stop()
