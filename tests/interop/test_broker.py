"""A Redis that refuses, that is away, that others write to: what it costs, and what the panel says."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.interop.browser import Browser
from tests.interop.installation import ROOT, Installation, Panel
from tests.interop.process import free_ports
from tests.interop.redis_server import Redis, running_redis
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, Mailbox, Pop3Server
from tests.waiting import until

pytestmark = pytest.mark.interop

DUE = "from django.utils.timezone import now; from fetchrules.models import FetchRule as R; R.objects.update(next_poll_at=now())"
DROPPED = (
    "from fetchrules.models import Heartbeat as H; print(max(H.objects.values_list('dropped', flat=True), default=0))"
)
QUEUE = "from fetchrules.models import ServiceSettings; print(ServiceSettings.current().queue)"


@dataclass
class Office:
    """An installation with a rule, and the mailbox that it collects from."""

    installation: Installation
    mailbox: Mailbox

    def collects(self) -> None:
        """Raises TimeoutError where a letter that arrives now does not get through."""
        self.mailbox.maildrop.add(letter("another"))
        self.installation.manage("shell", "-v0", "-c", DUE)
        until(lambda: not self.mailbox.maildrop.letters, 60)

    def ask(self, code: str) -> str:
        return self.installation.manage("shell", "-v0", "-c", code).stdout.strip()


@contextmanager
def office(data: Path, url: str = "") -> Iterator[Office]:
    data.mkdir(exist_ok=True)
    installation = Installation(data, {"UTM_MAIL_REDIS_URL": url} if url else {})
    installation.prepare()
    mailbox = Mailbox(PASSWORD, Maildrop())
    with Pop3Server({"petrov": mailbox}) as server:
        installation.paste(f"127.0.0.1:pop3 petrov {PASSWORD} i.petrov@mydomain.ru port {server.port}\n")
        yield Office(installation, mailbox)


@contextmanager
def administrator(panel: Panel) -> Iterator[Callable[[], str]]:
    """What the strip says to her, whenever it is called."""
    browser = Browser(panel.address)
    assert panel.password
    browser.log_in("admin", panel.password)
    yield lambda: browser.get("/service/").text


REFUSALS = {
    "a replica": (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
    "out of memory": (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
    "not allowed": (["ACL", "SETUSER", "default", "-@write"], ["ACL", "SETUSER", "default", "+@all"]),
    "a disk that is full": (["CONFIG", "SET", "save", "1 1"], ["CONFIG", "SET", "save", ""]),
}


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[Redis, Path]]:
    """One that this test may maltreat, and its directory."""
    place = tmp_path / "redis"
    place.mkdir()
    with running_redis(place) as server:
        yield server, place


@pytest.mark.parametrize("kind", REFUSALS)
def test_it_outlives_a_redis_that_refuses(kind: str, tmp_path: Path, own_redis: tuple[Redis, Path]) -> None:
    (server, place), (refuse, obey) = own_redis, REFUSALS[kind]
    with (
        office(tmp_path / "data", server.new_url()) as mail,
        mail.installation.up() as panel,
        administrator(panel) as strip,
    ):
        mail.collects()
        until(lambda: "Служба работает" in strip())
        with redis.Redis(port=server.port) as broker:
            (place / "dump.rdb").mkdir(exist_ok=True)  # where it saves, if it is told to
            broker.execute_command(*refuse)
            until(lambda: "Redis отказывает" in strip(), 60)
            assert "Служба работает" not in strip()
            broker.execute_command(*obey)
        mail.collects()
        until(lambda: "Служба работает" in strip(), 60)
        assert panel.stop() == 0
        assert len(panel.log.read_text().splitlines()) < 300


def test_it_waits_for_a_redis_that_is_away(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"redis://127.0.0.1:{port}/0"
    with office(tmp_path / "data", url) as mail, mail.installation.up() as panel, administrator(panel) as strip:
        until(lambda: "Redis не отвечает" in strip())
        with running_redis(tmp_path, port):
            mail.collects()
        until(lambda: "Redis не отвечает" in strip())
        assert panel.stop() == 0


def envelope(headers: dict[str, object] | None = None, **parts: object) -> str:
    """A message as Celery writes it, with some of it replaced."""
    ours: dict[str, object] = {
        "task": "fetchrules.tasks.dispatch",
        "id": "1",
        "eta": None,
        "expires": None,
        "timelimit": [None, None],
    }
    ours |= {"retries": 0, "shadow": None, "stamped_headers": None}
    info = {"exchange": "", "routing_key": "celery"}
    message = {
        "body": body([[], {}, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": ours | (headers or {}),
        "properties": {"delivery_tag": "1", "body_encoding": "base64", "delivery_info": info, "priority": 0},
    }
    return json.dumps(message | parts)


def without(part: str) -> str:
    return json.dumps({name: value for name, value in json.loads(envelope()).items() if name != part})


def body(content: object) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


FOREIGN = {
    "no JSON": "\x80 no JSON",
    "half of it": '{"body": ',
    "too deep": "[" * 100_000,
    "no object": "5",
    "an empty object": "{}",
    "no headers": without("headers"),
    "a pickle": json.dumps(json.loads(envelope()) | {"content-type": "application/x-python-serialize"}),
    "no body": without("body"),
    "a body that is no base64": envelope(body="!"),
    "a body that is no JSON": envelope(body=base64.b64encode(b"\xff").decode()),
    "a body of another kind": envelope(body=body(5)),
    "no properties": without("properties"),
    "no tag": envelope(properties={}),
    "an unknown task": envelope(headers={"task": "somebody.elses"}),
    "an unknown task without an id": json.dumps(json.loads(envelope()) | {"headers": {"task": "somebody.elses"}}),
    "a task of Celery's": envelope(headers={"task": "celery.backend_cleanup"}),
    "an odd time": envelope(headers={"eta": "tomorrow"}),
    "an odd end": envelope(headers={"expires": 5}),
    "an odd limit": envelope(headers={"timelimit": 5}),
    "an odd compression": envelope(headers={"compression": "zip"}),
}


def test_it_drops_and_counts_what_it_cannot_read(tmp_path: Path, redis_server: Redis) -> None:
    url = redis_server.new_url()
    with office(tmp_path / "data", url) as mail, mail.installation.up() as panel:
        mail.collects()
        queue = mail.ask(QUEUE)
        with redis.Redis.from_url(url) as broker:
            for message in FOREIGN.values():
                broker.lpush(queue, message)
        until(lambda: mail.ask(DROPPED) == str(len(FOREIGN)), 60)
        mail.collects()
        assert "Traceback" not in panel.log.read_text()
        assert panel.stop() == 0
    with mail.installation.up() as panel:
        assert panel.stop() == 0
        assert "Traceback" not in panel.log.read_text()


def test_processes_of_their_own_outlive_it_too(tmp_path: Path, own_redis: tuple[Redis, Path]) -> None:
    server, _ = own_redis
    refuse, obey = REFUSALS["a replica"]
    with (
        office(tmp_path / "data", server.new_url()) as mail,
        redis.Redis(port=server.port) as broker,
        mail.installation.celery("worker") as worker,
        mail.installation.celery("beat") as beat,
    ):
        mail.collects()
        broker.execute_command(*refuse)
        until(lambda: sum("read only replica" in log.read_text() for log in logs(tmp_path)) == 2, 60)
        broker.execute_command(*obey)
        mail.collects()
        for process in (worker, beat):
            process.terminate()
        assert [process.wait(60) for process in (worker, beat)] == [0, 0]
    for log in logs(tmp_path):
        assert "Traceback" not in log.read_text()
        assert "is dropped" not in log.read_text()


def logs(directory: Path) -> list[Path]:
    return sorted((directory / "data").glob("*.log"))


def test_it_shares_a_redis_with_others(tmp_path: Path, redis_server: Redis) -> None:
    url = redis_server.new_url()
    with redis.Redis.from_url(url) as broker:
        broker.lpush("celery", *FOREIGN.values())
        with office(tmp_path / "one", url) as one, office(tmp_path / "two", url) as two:
            with one.installation.up(), two.installation.up():
                one.collects()
                two.collects()
            names = tuple(mail.ask(QUEUE) for mail in (one, two))
        assert broker.llen("celery") == len(FOREIGN)
        others = [key for key in broker.scan_iter() if not any(name in key.decode() for name in names)]
        assert others == [b"celery"]
        assert len(set(names)) == 2


ASKED = """
from fetchrules import tasks
waited = tasks._messages_wait()
print(waited, tasks._enqueue([1]), tasks._messages_wait())
"""


def test_it_knows_whether_messages_wait(tmp_path: Path, redis_server: Redis) -> None:
    (nobody,) = free_ports(1)
    answers = {redis_server.new_url(): "False True True", f"redis://127.0.0.1:{nobody}/0": "False False False"}
    for url, answer in answers.items():
        installation = Installation(tmp_path, {"UTM_MAIL_REDIS_URL": url})
        installation.prepare()
        assert installation.manage("shell", "-v0", "-c", ASKED).stdout.strip() == answer


PARTS = """
import sys, threading
import django; django.setup()
from django.utils import timezone
from fetchrules.upkeep import heartbeat
from kombu.transport.memory import Channel
from utm_mail.celery import queue_name
from utm_mail.parts import Beat, Worker, run_together

worker, beat = Worker(), Beat()
faults = {
    "worker": lambda: Channel.queues[queue_name()].put(5),
    "beat": lambda: setattr(beat._service.scheduler, "_heap", [None]),
}
threading.Thread(target=lambda: [faults[line.strip()]() for line in sys.stdin], daemon=True).start()
ending = run_together([worker, beat], lambda: None, lambda part: print("fell:", part, flush=True), pauses=[0.5] * 3)
print(ending, flush=True)
"""
"""The two parts that are Celery's, each of which can be broken by a line at standard input."""


def test_it_starts_a_part_again_that_really_fell(tmp_path: Path) -> None:
    with office(tmp_path / "data") as mail:
        process = subprocess.Popen(
            [sys.executable, "-c", PARTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**mail.installation.env, "DJANGO_SETTINGS_MODULE": "utm_mail.settings"},
            cwd=ROOT,
            text=True,
            bufsize=1,
        )
        assert process.stdin
        assert process.stdout
        try:
            mail.collects()
            for part in ("worker", "beat", "worker", "worker"):
                process.stdin.write(f"{part}\n")
                assert process.stdout.readline() == f"fell: {part}\n"
                mail.collects()
            process.stdin.write("worker\n")
            assert process.stdout.readline() == "Shutdown(fallen='worker', stuck=())\n"
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
