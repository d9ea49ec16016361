"""Whose turn it is: the rules that are due and are polled now, chosen so that no server holds up the others.

A poll occupies a slot, one of those that the live workers report, and only the server ends it: a server that drips an octet
now and then keeps a slot for minutes. So one server gets a quarter of the slots at most, and all servers that are known to be
slow get half of them together. Slow is a server whose last poll timed out, or that has kept a poll waiting for its list of
letters for more than a minute. Where no worker reports its slots, as with cron's `manage.py poll`, there is nothing to share.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet

from fetchrules import heartbeat
from fetchrules.errors import TimedOut
from fetchrules.models import FetchRule, NextReason, Pause, Run, ServiceSettings

PATIENCE = timedelta(minutes=1)
"""A server that has not listed its letters by then is slow."""


@dataclass(slots=True)
class _Board:
    """The open polls of each server, by host, and how many there may be; `together` bounds those of all `slow` hosts."""

    polls: Counter[str]
    slow: Collection[str]
    per_host: int
    together: int | None

    def is_full(self, host: str) -> bool:
        """Whether one more poll of this server would be too many."""
        return self.polls[host] >= self.per_host or (self._slow_are_full() and host in self.slow)

    def full(self) -> set[str]:
        """The servers that get no poll now."""
        busy = {host for host, number in self.polls.items() if number >= self.per_host}
        return busy.union(self.slow) if self._slow_are_full() else busy

    def _slow_are_full(self) -> bool:
        return self.together is not None and sum(self.polls[host] for host in self.slow) >= self.together


def choose(now: datetime, limit: int, host: str | None = None) -> list[FetchRule]:
    """Up to `limit` of the rules that are due, at one server or at all of them, each with an account that is not being polled.

    The first of each server stands before the second of any, so that a queue serves the servers in turn.
    """
    service = ServiceSettings.current()
    due = _due(service, now) if host is None else _due(service, now).filter(source__host=host)
    if not due.exists():
        return []
    board = _board(now, service.per_host)
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


def _due(service: ServiceSettings, now: datetime) -> QuerySet[FetchRule]:
    # Not only this mailbox: an account is visited by one session at a time, for many servers lock it.
    account = {f"source__{column}": OuterRef(f"source__{column}") for column in ("protocol", "host", "port", "user")}
    polled = Run.objects.filter(**account, finished_at__isnull=True)
    due = FetchRule.objects.filter(~Exists(polled), enabled=True, pause=Pause.NONE, next_poll_at__lte=now)
    if not service.running:
        due = due.filter(next_reason=NextReason.BY_HAND)
    return due.select_related("source").order_by("next_poll_at")


def _board(now: datetime, per_host: int) -> _Board:
    waiting = Q(state=Run.State.RUNNING, started_at__lt=now - PATIENCE, found=0)
    hosts = Run.objects.filter(finished_at__isnull=True).values_list("source__host")
    rows = list(hosts.annotate(all=Count("id"), stuck=Count("id", filter=waiting)))
    polls = Counter({host: number for host, number, _ in rows})
    slots = heartbeat.slots(now)
    if slots is None:
        return _Board(polls, (), per_host, None)
    slow = _timed_out() | {host for host, _, stuck in rows if stuck}
    return _Board(polls, slow, min(per_host, max(1, slots // 4)), max(1, slots // 2))


def _timed_out() -> set[str]:
    """The servers whose last poll timed out."""
    polled = FetchRule.objects.order_by().values_list("source__host").annotate(last=Max("last_polled_at"))
    late = polled.annotate(late=Max("last_polled_at", filter=Q(last_error=TimedOut.code)))
    return {host for host, _, _ in late.filter(last=F("late"))}
