"""Ten thousand mailboxes at five minutes on two hundred servers, beside a dead server with two thousand, for a quarter of an hour.

Told: how late polls are, what the processes take, how the database grows, how soon the list of rules answers. On SQLite in one
process, and on PostgreSQL and Redis with two workers. UTM_MAIL_TEST_SCALE=500 UTM_MAIL_TEST_MINUTES=1 tries it in little.
"""

import os
import signal
import statistics
import time
import urllib.request
from collections import defaultdict
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any

import psycopg
import pytest

from tests.benchmarks.report import Row
from tests.benchmarks.simulator import simulator
from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.interop.redis_server import Redis

ASKED = any(name in os.environ for name in ("UTM_MAIL_TEST_SCALE", "UTM_MAIL_TEST_MINUTES"))
pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not ASKED, reason="takes half an hour; UTM_MAIL_TEST_MINUTES=15 measures it"),
]

ACCOUNTS = int(os.environ.get("UTM_MAIL_TEST_SCALE", "10000"))
MINUTES = float(os.environ.get("UTM_MAIL_TEST_MINUTES", "15"))
INTERVAL = 5 if MINUTES >= 5 else 1
HOSTS = 220
DEAD = ACCOUNTS // 5
GOALS = {
    "late p99": "< 15",
    "page p50 ms": "< 200",
    "worker 1: MB": "< 150",
    "worker 2: MB": "< 150",
    "database MB a day": "< 100",
}
JITTER = 0.1
"""Polls are that much earlier or later by intention."""
SESSION = """
from django.contrib.auth import get_user_model
from django.test import Client
user, _ = get_user_model().objects.get_or_create(username="bench", is_superuser=True, is_staff=True)
client = Client(); client.force_login(user); print(client.cookies["sessionid"].value)
"""
PREPARE = """
import sys; from fetchrules.models import *; ServiceSettings.current()
ServiceSettings.objects.update(interval={interval})
"""


def rules(port: int) -> str:
    lines = []
    for number in range(ACCOUNTS):
        host = number % HOSTS
        letters, every = (50_000, 0) if number == 7 else (0, 3600)
        lines.append(
            f"127.1.{host // 256}.{host % 256 + 1}:pop3 u{number}-{letters}-{every} pw u{number}@mydomain.ru "
            f"keep plaintext port {port}\n"
        )
    lines += [f"127.2.0.1:pop3 dead{n} pw dead{n}@mydomain.ru keep plaintext port {port}\n" for n in range(DEAD)]
    return "".join(lines)


class Watched:
    """A process and its children, by /proc."""

    def __init__(self, name: str, process: "Popen[Any]") -> None:
        self.name, self.pid = name, process.pid

    def pids(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            found += map(int, children.read_text().split()) if children.exists() else []
        return found

    def cpu(self) -> float:
        """Seconds so far."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MB now, of the largest of them."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return max(int(one.split("VmRSS:")[1].split()[0]) for one in statuses) / 1024


def lateness(log: Path, began: float) -> dict[str, float]:
    """Seconds, of the living accounts: until the first poll, and between two beyond the interval and its jitter."""
    by_account: dict[str, list[float]] = defaultdict(list)
    for line in log.read_text().splitlines():
        moment, user = line.split()
        by_account[user].append(float(moment))
    assert by_account, "no mailbox was polled"
    first = sorted(moments[0] - began for moments in by_account.values())
    longest = INTERVAL * 60 * (1 + JITTER)
    gaps = [after - before for moments in by_account.values() for before, after in pairwise(moments)]
    late = sorted(max(0.0, gap - longest) for gap in gaps) or [0.0]
    return {
        "accounts polled": len(by_account),
        "polls": sum(map(len, by_account.values())),
        "first poll p50": first[len(first) // 2],
        "first poll p99": first[len(first) * 99 // 100],
        "late p50": late[len(late) // 2],
        "late p99": late[len(late) * 99 // 100],
        "late max": late[-1],
    }


def watch(address: str, cookie: str, processes: list[Watched], size: Any) -> dict[str, Any]:
    pages: list[float] = []
    before, grown = {one.name: one.cpu() for one in processes}, 0.0
    began, half = time.time(), None
    while time.time() - began < MINUTES * 60:
        request = urllib.request.Request(address, headers={"Cookie": f"sessionid={cookie}"})
        asked = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read(1)
            pages.append(time.perf_counter() - asked)
            assert b"login" not in answer.geturl().encode()
        if half is None and time.time() - began > MINUTES * 30:
            half = (time.time(), size())  # by then every mailbox has been polled for the first time
        time.sleep(max(1.0, MINUTES * 60 / 60))
    seconds = time.time() - began
    if half is not None:
        grown = (size() - half[1]) / (time.time() - half[0]) * 86400 / 1024 / 1024
    return {
        "page p50 ms": 1000 * statistics.median(pages),
        "page max ms": 1000 * max(pages),
        **{f"{one.name}: cores": (one.cpu() - before[one.name]) / seconds for one in processes},
        **{f"{one.name}: MB": one.memory() for one in processes},
        "database MB a day": grown,
    }


def prepared(installation: Installation, port: int) -> str:
    installation.prepare()
    installation.manage("shell", "-v0", "-c", PREPARE.format(interval=INTERVAL))
    began = time.time()
    installation.paste(rules(port))
    print(f"\n  imported in {time.time() - began:.1f} s", flush=True)
    return installation.manage("shell", "-v0", "-c", SESSION).stdout.strip()


def tell(column: str, told: dict[str, Any]) -> None:
    name = f"{ACCOUNTS:,} mailboxes at {INTERVAL} min on {HOSTS} servers, {DEAD:,} on a dead one, {MINUTES:g} min"
    for what, value in told.items():
        Row(name, what, "", GOALS.get(what, "")).tell({column: float(value)})


def test_one_process_on_sqlite(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with simulator(tmp_path) as (port, log):
        ours = Installation(data, {"UTM_MAIL_INSECURE_HTTP": "1"})
        cookie, began = prepared(ours, port), time.time()

        def size() -> int:
            return sum(file.stat().st_size for file in data.glob("utm_mail.sqlite3*"))

        with ours.up() as panel:
            told = watch(panel.address, cookie, [Watched("up", panel.process)], size)
            panel.stop(signal.SIGTERM)
    tell("SQLite, one process", lateness(log, began) | told)


def test_two_workers_on_postgresql_and_redis(tmp_path: Path, postgres: Postgres, redis_server: Redis) -> None:
    data = tmp_path / "data"
    data.mkdir()
    url = postgres.new_database()
    with simulator(tmp_path) as (port, log), ExitStack() as stack:
        env = {
            "UTM_MAIL_DATABASE_URL": url,
            "UTM_MAIL_REDIS_URL": redis_server.new_url(),
            "UTM_MAIL_INSECURE_HTTP": "1",
        }
        ours = Installation(data, env)
        cookie, began = prepared(ours, port), time.time()
        watcher = stack.enter_context(psycopg.connect(url, autocommit=True))

        def size() -> int:
            row = watcher.execute("SELECT pg_database_size(current_database())").fetchone()
            return int(row[0]) if row else 0

        workers = [stack.enter_context(ours.celery("worker", "-n", f"w{number}@bench")) for number in (1, 2)]
        beat = stack.enter_context(ours.celery("beat"))
        panel = stack.enter_context(ours.gunicorn("--threads", "4"))
        processes = [Watched(f"worker {n}", one) for n, one in enumerate(workers, 1)]
        processes += [Watched("beat", beat), Watched("panel", panel.process)]
        told = watch(panel.address, cookie, processes, size)
        for one in (*workers, beat):
            one.terminate()
        for one in (*workers, beat):
            one.wait(60)
    tell("PostgreSQL and Redis", lateness(log, began) | told)
