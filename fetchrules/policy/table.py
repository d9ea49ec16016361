"""The table of keep, flush and fetchall: what to do with a letter that was, or was not, collected before."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from fetchrules.rule import FIELDS, Rule


class Action(Enum):
    FETCH_DELETE = "fetch, then delete"
    FETCH_LEAVE = "fetch, mark read, leave"
    LEAVE = "leave alone"
    DELETE = "delete, before fetching anything"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table; None stands for "any"."""

    seen: bool
    keep: bool | None
    flush: bool | None
    fetchall: bool | None
    action: Action

    def covers(self, seen: bool, terms: "Terms") -> bool:
        wanted = (self.seen, self.keep, self.flush, self.fetchall)
        given = (seen, terms.keep, terms.flush, terms.fetchall)
        return all(want in (None, have) for want, have in zip(wanted, given, strict=True))


TABLE = (
    TableRow(False, False, None, None, Action.FETCH_DELETE),
    TableRow(False, True, None, None, Action.FETCH_LEAVE),
    TableRow(True, None, False, False, Action.LEAVE),
    TableRow(True, None, True, False, Action.DELETE),
    TableRow(True, False, None, True, Action.FETCH_DELETE),
    TableRow(True, True, None, True, Action.FETCH_LEAVE),
)
"""fetchmail's semantics (measured), with flush as a real first phase. Shown in the help and the docs from here."""


RESTRICTED_LIMIT = 256 * 1024 * 1024
"""Octets of a letter that a restricted rule may fetch, whatever its `limit`: its owner chose the server, which may lie."""


def limit_of(limit: int | None, *, restricted: bool) -> int | None:
    """The size above which a rule with this `limit` leaves letters on the server."""
    if not restricted:
        return limit
    return RESTRICTED_LIMIT if limit is None else min(limit, RESTRICTED_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The part of a rule that decides over letters. `limit` is in octets, `fetchlimit` in letters, `keepdays` in days.

    `lived`: the seconds that successful polls of the mailbox have lived through so far. `pass_present`: this once, what is
    unknown counts as collected; `since`: this once, what is unknown and arrived before then does.
    """

    keep: bool = False
    flush: bool = False
    fetchall: bool = False
    uidl: bool = False
    limit: int | None = None
    fetchlimit: int | None = None
    keepdays: int | None = None
    lived: int = 0
    pass_present: bool = False
    since: datetime | None = None

    @classmethod
    def of(
        cls,
        rule: Rule,
        *,
        restricted: bool = False,
        lived: int = 0,
        pass_present: bool = False,
        since: datetime | None = None,
    ) -> "Terms":
        """The terms of `rule`. `restricted`: it may fetch no letter above RESTRICTED_LIMIT."""
        values = {field.name: getattr(rule, field.name) for field in FIELDS.values() if field.decides}
        values["limit"] = limit_of(rule.limit, restricted=restricted)
        return cls(**values, lived=lived, pass_present=pass_present, since=since)

    @property
    def leaves(self) -> bool:
        """Whether a delivered letter stays on the server."""
        return self.keep or self.keepdays is not None

    @property
    def passes_over(self) -> bool:
        """Whether some unknown letters, or all, count as collected this once."""
        return self.pass_present or self.since is not None

    def expire(self, delivered_at: datetime | None, lived: int | None, now: datetime) -> bool:
        """Whether a letter delivered then, when the mailbox had `lived` so long, is too old to stay.

        The clock may be wrong, and the mailbox may not have been polled, so both times must say so.
        """
        if self.keepdays is None or delivered_at is None or lived is None:
            return False
        age = timedelta(days=self.keepdays)
        return delivered_at + age <= now and timedelta(seconds=self.lived - lived) >= age


def decide(seen: bool, terms: Terms) -> Action:
    if terms.keepdays is not None:
        return Action.LEAVE if seen else Action.FETCH_LEAVE
    return next(row.action for row in TABLE if row.covers(seen, terms))
