"""The engine in a process of its own, as warm as a worker's. It works on an installation, and prints a JSON object a line."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, HourlyStat, Letter, Run
from fetchrules.policy.known import Fate, State
from fetchrules.poll.desk import GATHER_SECONDS, LINGER_SECONDS, Desk
from fetchrules.poll.run import poll
from fetchrules.schedule import NextReason
from tests.benchmarks.simulator import Account
from tests.interop.installation import ROOT, Installation

_START = "import django; django.setup(); from tests.benchmarks.engine import main; main()"

Told = dict[str, Any]


def engine(installation: Installation, work: Callable[..., Iterator[Told]], *arguments: object) -> list[Told]:
    """What `work`, a function of this module, says in a new process about this installation."""
    done = subprocess.run(
        [sys.executable, "-c", _START, work.__name__, *map(str, arguments)],
        env={**installation.env, "DJANGO_SETTINGS_MODULE": "utm_mail.settings"},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def collect(user: str, times: str = "1") -> Iterator[Told]:
    """Poll this mailbox so many times: seconds, those of CPU, MB that the process has grown by at most, and what came of it."""
    rule, before = FetchRule.objects.get(user=user), _peak()
    for _ in range(int(times)):
        (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
        wall, processor = time.perf_counter(), time.process_time()
        result = poll(run_id)
        took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - processor, "mb": _peak() - before}
        assert result
        yield {**took, **asdict(result.counts), "error": result.error and str(result.error)}


def poll_all(side_by_side: str, rounds: str) -> Iterator[Told]:
    """Poll all mailboxes, so many side by side: seconds and those of CPU of each round."""
    desk = Desk(GATHER_SECONDS, LINGER_SECONDS)

    def polled(run_id: int) -> None:
        result = poll(run_id, desk=desk)
        assert result
        assert result.error is None, result.error

    with ThreadPoolExecutor(int(side_by_side)) as pool:
        for _ in range(int(rounds)):
            _make_due()
            wall, processor = time.perf_counter(), time.process_time()
            claimed = runs.claim(FetchRule.objects.order_by("id"), timezone.now())
            list(pool.map(polled, claimed))
            desk.flush()
            assert len(claimed) == FetchRule.objects.count()
            yield {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - processor}


def keep_due(warm_up: str, seconds: str) -> Iterator[Told]:
    """Let all mailboxes be due again and again, for workers: polls a second after the warm-up."""
    _due_for(float(warm_up))
    begun, before = time.perf_counter(), _polls()
    _due_for(float(seconds))
    polls, failed = (now - then for now, then in zip(_polls(), before, strict=True))
    yield {"rate": polls / (time.perf_counter() - begun), "failed": failed}


def pin(fingerprint: str) -> Iterator[Told]:
    """Trust this certificate: it may be that of another address."""
    FetchRule.objects.update(sslfingerprint=[fingerprint])
    yield from ()


def know(letters: str) -> Iterator[Told]:
    """Have collected that many letters of the only mailbox, a simulator's, which keeps them."""
    rule, now = FetchRule.objects.get(), timezone.now()
    sizes = enumerate(Account(rule.user).sizes(int(letters)), 1)
    while kept := [_kept(rule, number, size, now) for number, size in islice(sizes, 5000)]:
        Letter.objects.bulk_create(kept)
    yield from ()


def _kept(rule: FetchRule, number: int, size: int, now: datetime) -> Letter:
    return Letter(
        source=rule.source,
        epoch=0,
        uid=f"{rule.user}.{number}",
        recipient=rule.recipient,
        state=State.DELIVERED,
        fate=Fate.KEPT,
        size=size,
        octets=size,
        fingerprint=f"{number:064x}",
        head=f"{number:064x}",
        first_seen_at=now,
        delivered_at=now,
    )


def _make_due() -> None:
    rules = FetchRule.objects.filter(next_poll_at__isnull=False)
    rules.update(next_poll_at=timezone.now(), next_reason=NextReason.INTERVAL)


def _due_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _make_due()
        time.sleep(0.2)


def _polls() -> tuple[int, int]:
    told = HourlyStat.objects.aggregate(polls=Sum("runs", default=0), failed=Sum("failed", default=0))
    return told["polls"], told["failed"]


def _peak() -> float:
    """The most memory that this process has had, in MB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    logging.disable(logging.WARNING)
    work = {one.__name__: one for one in (collect, poll_all, keep_due, pin, know)}
    for row in work[sys.argv[1]](*sys.argv[2:]):
        print(json.dumps(row), flush=True)
