"""Whether the broker answers. Asked at most every few seconds, with a short patience: a page must not hang on it."""

import time
from dataclasses import dataclass

import redis
from django.conf import settings

PATIENCE = 0.5
"""Seconds."""
FRESH = 5.0
"""Seconds for which an answer is believed."""


@dataclass(slots=True)
class _Answer:
    down: bool = False
    at: float = float("-inf")


_last = _Answer()


def is_down() -> bool:
    """False without Redis: the embedded broker lives in the worker's own process."""
    if not settings.UTM_MAIL_REDIS_URL:
        return False
    if time.monotonic() - _last.at > FRESH:
        _last.down = not _answers(settings.UTM_MAIL_REDIS_URL)
        _last.at = time.monotonic()
    return _last.down


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False
