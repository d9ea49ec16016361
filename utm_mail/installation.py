"""Which installation this is, among others that share a Redis: known when the database is there."""

from functools import cache


@cache
def queue_name() -> str:
    """The name of this installation's queue, and the beginning of all its keys. Raises DatabaseError; then it is asked again."""
    from fetchrules.models import ServiceSettings

    return ServiceSettings.current().queue
