"""Which of the due rules are polled now, so that no server holds up the others; and rules that fell out of the schedule.

A poll occupies one of the slots that live workers report, and a server that drips octets keeps it for minutes. So one server gets
at most a quarter of the slots, and all slow servers together half of them. A server is slow if its last poll timed out, or a poll
waits for its listing for more than a minute. Where no worker reports slots (`manage.py poll` by cron), there is nothing to share.
A service that allows fewer sessions at a time gets no more than that (`policy.limits`).
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet

from fetchrules.errors import TimedOut
from fetchrules.ledger import workers
from fetchrules.models import FetchRule, Pause, Run, ServiceSettings
from fetchrules.policy.limits import sessions_at_most
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
    of_slow: int = field(init=False)

    def __post_init__(self) -> None:
        self.of_slow = sum(self.polls[host] for host in self.slow)

    def is_full(self, host: str) -> bool:
        slow_are_full = self.together is not None and self.of_slow >= self.together
        return (slow_are_full and host in self.slow) or self.polls[host] >= sessions_at_most(host, self.per_host)

    def add(self, host: str) -> int:
        """Count one more poll; returns how many this host has now."""
        self.polls[host] += 1
        self.of_slow += host in self.slow
        return self.polls[host]


_Account = tuple[str, str, int, str]
_ACCOUNT = tuple(f"source__{column}" for column in ("protocol", "host", "port", "user"))
"""What `SourceMailbox.account` consists of, as a query of rules or runs names it."""


def choose(now: datetime, limit: int | None = None, hosts: Collection[str] | None = None) -> list[int]:
    """The ids of up to `limit` due rules, of these servers or of all, whose accounts are not being polled.

    The first rule of each server comes before the second of any, so that a queue serves the servers in turn.
    """
    service = ServiceSettings.current()
    waiting, polls = due(now).order_by("next_poll_at", "id"), _open()
    if not service.running:
        waiting = waiting.filter(next_reason=NextReason.BY_HAND)
    if hosts is not None:
        waiting = waiting.filter(source__host__in=hosts)
    if not waiting.exists():
        return []
    board = _board(now, service.per_host, polls)
    if hosts is not None:
        with_room = [host for host in hosts if not board.is_full(host)]
        waiting, polls = waiting.filter(source__host__in=with_room), polls.filter(source__host__in=with_room)
    return _walk(waiting.values_list("id", *_ACCOUNT), board, _accounts(polls), limit)


def _walk(rules: Iterable[tuple[int, *_Account]], board: _Board, busy: set[_Account], limit: int | None) -> list[int]:
    """Up to `limit` of the rules (id and account) that the board has room for, one an account that is not `busy`."""
    turn: dict[int, int] = {}
    for rule, protocol, host, port, user in rules:
        account = (protocol, host, port, user)
        if account in busy or board.is_full(host):
            continue
        busy.add(account)
        turn[rule] = board.add(host)
        if len(turn) == limit:
            break
    return sorted(turn, key=turn.__getitem__)


def late(now: datetime) -> Late | None:
    """The rules that are late; None if there are none, or the service is stopped.

    Rules that wait for a busy server or account do not count. Only polls at work keep these busy, not queued or dead ones.
    """
    service = ServiceSettings.current()
    overdue = pollable().filter(next_poll_at__lte=now - LATE_AFTER)
    if not service.running or not overdue.exists():
        return None
    at_work = Run.objects.filter(finished_at__isnull=True, state=Run.State.RUNNING, deadline__gte=now)
    board, busy = _board(now, service.per_host, at_work), _accounts(at_work)
    full = [host for host in {*board.polls, *board.slow} if board.is_full(host)]
    waiting = overdue.exclude(source__host__in=full).exclude(id__in=_reading(busy, overdue))
    found = waiting.aggregate(rules=Count("id"), since=Min("next_poll_at"))
    return Late(found["rules"], found["since"]) if found["rules"] else None


def due(now: datetime) -> QuerySet[FetchRule]:
    """The rules whose time has come, whether their servers and accounts are busy or not."""
    return pollable().filter(next_poll_at__lte=now)


def pollable() -> QuerySet[FetchRule]:
    """Rules that may be polled. One without an owner waits until somebody takes it over."""
    return FetchRule.objects.filter(enabled=True, pause=Pause.NONE).exclude(FetchRule.OWNER_GONE)


def _accounts(polls: QuerySet[Run]) -> set[_Account]:
    """The accounts of these polls: many servers lock a mailbox, so an account gets one session at a time."""
    return set(polls.order_by().values_list(*_ACCOUNT))


def _reading(accounts: set[_Account], rules: QuerySet[FetchRule]) -> list[int]:
    """The ids of those of `rules` that read one of these accounts."""
    hosts, users = {host for _, host, _, _ in accounts}, {user for _, _, _, user in accounts}
    near = rules.order_by().filter(source__host__in=hosts, source__user__in=users).values_list("id", *_ACCOUNT)
    return [rule for rule, *account in near if tuple(account) in accounts]


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
    return bool(same.update(pause=Pause.NONE, counted_since=now, **due))
