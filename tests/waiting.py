"""Waiting for another process: what it does can only be looked for again and again, until a deadline."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

Found = TypeVar("Found")

_PAUSE_SECONDS = 0.05


def until(look: Callable[[], Found | None], seconds: float = 30.0) -> Found:
    """What `look` gives as soon as that is true; raises TimeoutError with what it gave last."""
    pause, deadline = Event(), monotonic() + seconds
    while not (found := look()):
        if monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s still {found!r}")
        pause.wait(_PAUSE_SECONDS)
    return found
