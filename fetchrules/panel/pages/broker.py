"""Whether the broker takes tasks. Asked at most every few seconds, with a short patience: a page must not hang on it."""

import time
from dataclasses import dataclass

import redis
from django.conf import settings
from django.utils.translation import gettext as _
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 0.5
"""Seconds."""
FRESH = 5.0
"""Seconds for which an answer is believed."""
LONGEST_REASON = 120


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no task can be handed out, in words, and the command that would help, if there is one."""

    words: str
    command: str = ""


@dataclass(slots=True)
class _Answer:
    trouble: Trouble | None = None
    at: float = float("-inf")


_last = _Answer()


def trouble(queue: str) -> Trouble | None:
    """Why no task can be handed out by `queue`. None without Redis: the embedded broker lives in the worker's own process."""
    if not settings.UTM_MAIL_REDIS_URL:
        return None
    if time.monotonic() - _last.at > FRESH:
        _last.trouble = _ask(settings.UTM_MAIL_REDIS_URL, f"{queue}.probe")
        _last.at = time.monotonic()
    return _last.trouble


def _ask(url: str, key: str) -> Trouble | None:
    """A PING would not do: a Redis with a full disk, or one that became a replica, answers and takes nothing."""
    impatience = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=impatience
        ) as connection:
            connection.set(key, "", ex=10)
    except (redis.ResponseError, redis.AuthenticationError, redis.BusyLoadingError) as error:
        return Trouble(_("Redis refuses: tasks are not handed out. It says: %s") % str(error)[:LONGEST_REASON])
    except redis.RedisError:
        return Trouble(_("Redis does not answer: tasks are not handed out."), "redis-server")
    return None
