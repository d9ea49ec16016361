"""Which of the due rules are polled now, so that no server holds up the others; and rules that fell out of the schedule.

A poll occupies one of the slots that live workers report, and a server that drips octets keeps it for minutes. So one server gets
at most a quarter of the slots, and all slow servers together half of them. A server is slow if its last poll timed out, or a poll
waits for its listing for more than a minute. Where no worker reports slots (`manage.py poll` by cron), there is nothing to share.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet

from fetchrules.errors import TimedOut
from fetchrules.ledger import workers
from fetchrules.models import FetchRule, Pause, Run, ServiceSettings
from fetchrules.schedule import JITTER, NextReason, longest_wait

PATIENCE = timedelta(minutes=1)
"""A server that has not listed its letters by then is slow."""
LATE_AFTER = timedelta(minutes=2)
"""A rule that is due for so long, and waits for nothing but us, is late."""


@dataclass(frozen=True, slots=True)
class Late:
    rules: int
    since: datetime


@dataclass(slots=True)
class _Board:
    """The open polls by host, and their bounds; `together` is that of all `slow` hosts."""

    polls: Counter[str]
    slow: Collection[str]
    per_host: int
    together: int | None

    def is_full(self, host: str) -> bool:
        return self.polls[host] >= self.per_host or (self._slow_are_full() and host in self.slow)

    def full(self) -> set[str]:
        busy = {host for host, number in self.polls.items() if number >= self.per_host}
        return busy.union(self.slow) if self._slow_are_full() else busy

    def _slow_are_full(self) -> bool:
        return self.together is not None and sum(self.polls[host] for host in self.slow) >= self.together


def choose(now: datetime, limit: int, host: str | None = None) -> list[FetchRule]:
    """Up to `limit` due rules, of one server or of all, whose accounts are not being polled.

    The first rule of each server comes before the second of any, so that a queue serves the servers in turn.
    """
    service = ServiceSettings.current()
    due = _due(service, now) if host is None else _due(service, now).filter(source__host=host)
    if not due.exists():
        return []
    board = _board(now, service.per_host, _open())
    chosen: dict[int, FetchRule] = {}
    turn: dict[int, int] = {}
    visited: set[tuple[object, ...]] = set()
    while len(chosen) < limit:
        rules = due.exclude(source__host__in=board.full()).exclude(id__in=chosen)[: limit - len(chosen)]
        before = len(chosen)
        for rule in rules:
            host = rule.source.host
            if rule.source.account not in visited and not board.is_full(host):
                visited.add(rule.source.account)
                board.polls[host] += 1
                chosen[rule.id], turn[rule.id] = rule, board.polls[host]
        if len(chosen) == before:
            break
    return sorted(chosen.values(), key=lambda rule: turn[rule.id])


def late(now: datetime) -> Late | None:
    """The rules that are late; None if there are none, or the service is stopped.

    Rules that wait for a busy server or account do not count. Only polls at work keep these busy, not queued or dead ones.
    """
    service = ServiceSettings.current()
    overdue = pollable().filter(next_poll_at__lte=now - LATE_AFTER)
    if not service.running or not overdue.exists():
        return None
    at_work = Run.objects.filter(finished_at__isnull=True, state=Run.State.RUNNING, deadline__gte=now)
    ours = _not_among(at_work, overdue).exclude(source__host__in=_board(now, service.per_host, at_work).full())
    told = ours.aggregate(rules=Count("id"), since=Min("next_poll_at"))
    return Late(told["rules"], told["since"]) if told["rules"] else None


def _due(service: ServiceSettings, now: datetime) -> QuerySet[FetchRule]:
    due = _not_among(_open(), pollable().filter(next_poll_at__lte=now))
    if not service.running:
        due = due.filter(next_reason=NextReason.BY_HAND)
    return due.select_related("source").order_by("next_poll_at")


def pollable() -> QuerySet[FetchRule]:
    """Rules that may be polled. One without an owner waits until somebody takes it over."""
    return FetchRule.objects.filter(enabled=True, pause=Pause.NONE).exclude(FetchRule.OWNER_GONE)


def _not_among(polls: QuerySet[Run], rules: QuerySet[FetchRule]) -> QuerySet[FetchRule]:
    """Those of `rules` whose account is not among `polls`: many servers lock it, so it gets one session at a time."""
    account = {f"source__{column}": OuterRef(f"source__{column}") for column in ("protocol", "host", "port", "user")}
    return rules.filter(~Exists(polls.filter(**account)))


def _open() -> QuerySet[Run]:
    return Run.objects.filter(finished_at__isnull=True)


def _board(now: datetime, per_host: int, counted: QuerySet[Run]) -> _Board:
    waiting = Q(state=Run.State.RUNNING, started_at__lt=now - PATIENCE, found=0)
    hosts = counted.order_by().values_list("source__host")
    rows = list(hosts.annotate(all=Count("id"), stuck=Count("id", filter=waiting)))
    polls = Counter({host: number for host, number, _ in rows})
    slots = workers.slots(now)
    if slots is None:
        return _Board(polls, (), per_host, None)
    slow = _timed_out() | {host for host, _, stuck in rows if stuck}
    return _Board(polls, slow, min(per_host, max(1, slots // 4)), max(1, slots // 2))


def _timed_out() -> set[str]:
    polled = FetchRule.objects.order_by().values_list("source__host").annotate(last=Max("last_polled_at"))
    late = polled.annotate(late=Max("last_polled_at", filter=Q(last_error=TimedOut.code)))
    return {host for host, _, _ in late.filter(last=F("late"))}


AHEAD = timedelta(minutes=5)
"""A last poll that is further in the future was noted by a wrong clock, not merely by another machine's."""


def mend_schedule(now: datetime) -> int:
    """Schedule rules that are neither being polled nor due in good time; returns how many.

    Only a wrong clock makes such rules; they are due now. A rule without failures waits its present interval from its last poll.
    """
    usual = timedelta(minutes=ServiceSettings.current().interval)
    active = FetchRule.objects.filter(enabled=True, pause=Pause.NONE)
    running = Run.objects.filter(rule=OuterRef("pk"), finished_at__isnull=True)
    mended = _make_due(active.filter(~Exists(running), next_poll_at__isnull=True), now)
    waiting = active.filter(next_poll_at__gt=now)
    mended += _make_due(waiting.filter(last_polled_at__gt=now + AHEAD), now)
    for minutes, latest in waiting.order_by().values_list("interval").annotate(Max("next_poll_at")):
        interval = timedelta(minutes=minutes or 0) or usual
        if latest <= now + interval * (1 + JITTER):
            continue  # nearly always, which saves a query for each interval
        alike = waiting.filter(interval=minutes)
        mended += _make_due(alike.filter(next_poll_at__gt=now + longest_wait(interval)), now)
        put_off = alike.filter(failures=0, next_poll_at__gt=now + interval * (1 + JITTER))
        mended += put_off.filter(last_polled_at__lte=now).update(next_poll_at=F("last_polled_at") + interval)
        mended += _make_due(put_off, now)
    return mended


def _make_due(rules: QuerySet[FetchRule], now: datetime) -> int:
    return rules.update(next_poll_at=now, next_reason=NextReason.OVERTAKEN)


def go_on(rule: FetchRule, now: datetime) -> bool:
    """Make `rule` due, since the reason of its failure is over. False if it was changed or polled since it was read.

    Its failures count until it succeeds, but those of one kind are counted anew.
    """
    same = FetchRule.objects.filter(
        id=rule.id,
        revision=rule.revision,
        pause=rule.pause,
        last_error=rule.last_error,
        last_polled_at=rule.last_polled_at,
        next_poll_at=rule.next_poll_at,
    )
    due = {"next_poll_at": now, "next_reason": NextReason.BACKOFF}
    return bool(same.update(pause=Pause.NONE, failing_since=now, **due))
