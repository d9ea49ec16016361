"""Celery's queue on Redis, for a Redis that refuses and a queue that others write to.

kombu's transport takes an answer that is an error (a full disk, a replica that may not be written to, a password) for a fault of
ours, and a message that it cannot read for an exception like any other: both end the worker. Here a Redis that refuses is one that
is away, tried again until it obeys; and a message that we could not have sent is dropped and counted before anything looks into it.
"""

import base64
import json
import logging
from datetime import datetime
from typing import Any

from celery import current_app
from kombu.transport import redis as kombu_redis
from redis.exceptions import ResponseError

from utm_mail.installation import queue_name

log = logging.getLogger(__name__)

PROBE_SECONDS = 10


class Foreign(Exception):
    """A message that is none of ours; the argument says how that is known."""


class Dropped:
    """How many messages this process has dropped."""

    count = 0


def check(message: object) -> None:
    """Raises Foreign where `message` is not as Celery would have written it for one of our tasks.

    Looked at is all that kombu and Celery take for granted, whose exceptions would end the worker.
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
        }:
            if not task.startswith("fetchrules.") or task not in current_app.tasks:
                raise Foreign("no task of ours")
            if headers.get("compression") is not None or not _is_moment(headers.get("expires")):
                raise Foreign("a header that we do not write")
            _check_body(body)
        case _:
            raise Foreign("no message of Celery's")


def _is_moment(text: object) -> bool:
    if text is None:
        return True
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _check_body(body: str) -> None:
    try:
        match json.loads(base64.b64decode(body, validate=True)):
            case [list(), dict(), dict()]:
                return
    except (ValueError, RecursionError) as error:
        raise Foreign("a body that cannot be read") from error
    raise Foreign("a body that is no call of a task")


def drop(reason: str) -> None:
    """Count a message that is left out."""
    Dropped.count += 1
    log.error("a message that is not ours was in the queue and is dropped: %s", reason)


class Channel(kombu_redis.Channel):
    """kombu's, which looks whether Redis may be written to, and drops what is no JSON."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Raises ResponseError and the like where Redis refuses a write: so a connection is tried again in good time."""
        super().__init__(*args, **kwargs)
        try:
            self.client.set(f"{queue_name()}.probe", "", ex=PROBE_SECONDS)
        except self.connection_errors:
            self.close()
            raise

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError):  # of kombu's json; what is delivered is checked before
            drop("no JSON")
            return True


class Transport(kombu_redis.Transport):
    """kombu's, to which a refusal is a reason to connect again."""

    Channel = Channel
    connection_errors = (*kombu_redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            check(message)
        except Foreign as foreign:
            drop(str(foreign))
        else:
            super()._deliver(message, queue)
