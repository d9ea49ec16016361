"""What polls learn of a remote mailbox for the next one: how many letters to ask for at a time, and which of them last."""

from datetime import datetime, timedelta

from fetchrules.models import SourceMailbox

WITHOUT_HEADS = timedelta(days=1)
PLENTY = 250
"""From so many letters in one command on there is no limit any more."""


def fetch_fewer(source: SourceMailbox, letters: int) -> None:
    """A session broke over more letters in one command than these."""
    _note(source, fetch_at_once=max(letters, 1))


def fetched_well(source: SourceMailbox) -> None:
    """A session got an answer for all letters that it asked for: the next one may ask for twice as many at a time."""
    if source.fetch_at_once is not None or source.ask_last:
        more = 2 * (source.fetch_at_once or PLENTY)
        _note(source, fetch_at_once=more if more < PLENTY else None, ask_last="")


def ask_last(source: SourceMailbox, name: str) -> None:
    """The server said that it is over its limits when this letter was asked for: the next poll asks for the others first."""
    _note(source, ask_last=name)


def gives_heads(source: SourceMailbox, now: datetime) -> bool:
    """Whether headers may be asked for alone: not for a day after a session broke over them."""
    return source.heads_broke_at is None or abs(now - source.heads_broke_at) >= WITHOUT_HEADS


def heads_broke(source: SourceMailbox, now: datetime) -> None:
    """A session broke when headers were asked for alone."""
    _note(source, heads_broke_at=now)


def _note(source: SourceMailbox, **columns: int | str | datetime | None) -> None:
    for column, value in columns.items():
        setattr(source, column, value)
    SourceMailbox.objects.filter(pk=source.pk).update(**columns)
