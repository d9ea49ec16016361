"""Whether Redis takes tasks. The answer is cached for a few seconds, and the timeout is short, because pages wait for it."""

import time
from dataclasses import dataclass

import redis
from django.conf import settings
from django.utils.translation import gettext as _
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 0.5
"""The timeout, in seconds."""
FRESH = 5.0
"""How long an answer is cached, in seconds."""
LONGEST_REASON = 120


@dataclass(frozen=True, slots=True)
class BrokerTrouble:
    """Why no task can be enqueued, in words, and the command that would help, if there is one."""

    words: str
    command: str = ""


@dataclass(slots=True)
class _Answer:
    trouble: BrokerTrouble | None = None
    at: float = float("-inf")


_last = _Answer()


def trouble(queue: str) -> BrokerTrouble | None:
    """Why no task can be enqueued in `queue`. None without Redis, because the embedded broker lives in the worker's process."""
    if not settings.UTM_MAIL_REDIS_URL:
        return None
    if time.monotonic() - _last.at > FRESH:
        _last.trouble = _ask(settings.UTM_MAIL_REDIS_URL, f"{queue}.probe")
        _last.at = time.monotonic()
    return _last.trouble


def _ask(url: str, key: str) -> BrokerTrouble | None:
    """Writes a key, because a Redis with a full disk, or one that became a replica, still answers a PING."""
    impatience = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=impatience
        ) as connection:
            connection.set(key, "", ex=10)
    except (redis.ResponseError, redis.AuthenticationError, redis.BusyLoadingError) as error:
        return BrokerTrouble(_("Redis refuses: tasks are not handed out. It says: %s") % str(error)[:LONGEST_REASON])
    except redis.RedisError:
        return BrokerTrouble(_("Redis does not answer: tasks are not handed out."), "redis-server")
    return None
