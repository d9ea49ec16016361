"""Celery's queue on Redis, robust against a Redis that refuses writes and against foreign messages in the queue.

With kombu's own transport, an error reply (full disk, read-only replica, wrong password) or an unreadable message ends the worker.
Here an error reply counts as a lost connection, and a message that we cannot have sent is dropped and counted.
"""

import base64
import json
import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from celery import current_app
from kombu.transport import redis as kombu_redis
from redis.exceptions import ResponseError

from utm_mail.celery import queue_name

log = logging.getLogger(__name__)

PROBE_SECONDS = 10


class Dropped:
    """How many messages this process has dropped."""

    count = 0


def is_ours(message: object) -> bool:
    """Whether `message` is what Celery writes for one of our tasks.

    Checks every field that kombu and Celery read without checking, because their exceptions would end the worker.
    """
    match message:
        case {
            "body": str(body),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {
                "task": str(task),
                "id": str(),
                "eta": None,
                "timelimit": [None, None],
                "retries": int(),
                "shadow": None,
                "stamped_headers": None,
            } as headers,
            "properties": {
                "delivery_tag": str(),
                "body_encoding": "base64",
                "delivery_info": {"exchange": str(), "routing_key": str()},
            },
        } if task.startswith("fetchrules.") and task in current_app.tasks and headers.get("compression") is None:
            return _is_moment(headers.get("expires")) and _is_call(body)
    return False


def _is_moment(text: Any) -> bool:
    with suppress(TypeError, ValueError):
        return text is None or datetime.fromisoformat(text).tzinfo is not None
    return False


def _is_call(body: str) -> bool:
    with suppress(ValueError, RecursionError):
        match json.loads(base64.b64decode(body, validate=True)):
            case [list(), dict(), dict()]:
                return True
    return False


def drop(reason: str) -> None:
    Dropped.count += 1
    log.error("a message that is not ours was in the queue and is dropped: %s", reason)


class WritableChannel(kombu_redis.Channel):
    """A channel that opens only if Redis accepts writes, and that drops messages which are not JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Raises one of the connection errors if Redis refuses a write."""
        super().__init__(*args, **kwargs)
        try:
            self.client.set(f"{queue_name()}.probe", "", ex=PROBE_SECONDS)
        except self.connection_errors:
            self.close()
            raise

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError):  # from kombu's JSON decoder
            drop("no JSON")
            return True


class Transport(kombu_redis.Transport):
    """A transport that connects again after an error reply."""

    Channel = WritableChannel
    connection_errors = (*kombu_redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        if is_ours(message):
            super()._deliver(message, queue)
        else:
            drop("no call of one of our tasks")
