"""The end of the process, heard of in the middle of a wait.

A server may be silent for minutes, and a process that is told to end has seconds. So whoever waits for a server waits for this,
too, and from then on for no silence longer than `SILENCE_SECONDS`, and for nothing after `GRACE_SECONDS` in all: what flows may
come to a good end, what is silent ends at once. Nothing is lost by either: letters are safe here before they are deleted there,
and a session without a goodbye deletes nothing or is asked again.
"""

import math
import os
import threading
from time import monotonic

SILENCE_SECONDS = 2.0
GRACE_SECONDS = 12.0


class Stop(threading.Event):
    """Set when the process is told to end; waited for beside a socket by its `fileno`, which is readable from then on.

    `by`: when the last wait ends, by the monotonic clock.
    """

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
        """Nobody is to end any more: the process goes on, with another worker."""
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
