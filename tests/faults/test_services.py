"""Worker, beats, broker and database of an installation on several processes die under load, in any order."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random

import psycopg
import pytest
from redis import Redis

from tests.faults.campaign import SEED, size
from tests.faults.conftest import NewCampaign
from tests.faults.engine import ROOT, Engine, running_engine
from tests.faults.world import Tally, World, new_world
from tests.interop.installed import program
from tests.interop.postgres import Postgres
from tests.interop.process import end, free_ports
from tests.waiting import until

pytestmark = [pytest.mark.interop, pytest.mark.faults, pytest.mark.xdist_group("services")]

WORLDS = 8
PAUSE = 0.15
"""Seconds between two things that happen."""


class Services:
    """The processes of an installation, each of which can be killed and comes back."""

    def __init__(self, engine: Engine, stack: ExitStack) -> None:
        self._engine = engine
        self._stack = stack
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}

    def start(self, name: str, *command: str) -> None:
        """Run a command of the installation as long as the test lasts."""
        self._commands[name] = list(command)
        with (self._engine.data / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self._engine.env, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._processes[name] = process
        self._stack.callback(end, process)

    def kill(self, name: str) -> None:
        """SIGKILL, and start it again."""
        self._processes[name].kill()
        self._processes[name].wait()
        self.start(name, *self._commands[name])


@contextmanager
def installation(data: Path, postgres: Postgres, stack: ExitStack) -> Iterator[tuple[Engine, Services, int]]:
    """Redis, a worker and two beats on PostgreSQL; the port of Redis."""
    (port,) = free_ports(1)
    env = {
        "UTM_MAIL_DATABASE_URL": postgres.new_database(),
        "UTM_MAIL_REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "UTM_MAIL_CONCURRENCY": "6",
    }
    with running_engine(data, env) as engine:
        services = Services(engine, stack)
        redis = str(program("redis-server", "redis-server"))
        services.start("redis", redis, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
        celery = (sys.executable, "-m", "celery", "-A", "utm_mail")
        services.start("worker", *celery, "worker", "-l", "WARNING")
        for number in (1, 2):
            services.start(f"beat-{number}", *celery, "beat", "-l", "WARNING")
        yield engine, services, port


def restart_database(url: str) -> None:
    """One of its processes dies by SIGKILL: PostgreSQL ends all the others at once, and recovers."""
    with suppress(psycopg.OperationalError), psycopg.connect(url.replace("postgres://", "postgresql://")) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)


def flush(port: int) -> None:
    """Everything in the broker is gone."""
    with Redis(port=port) as broker:
        broker.flushall()


def live(worlds: list[World], disasters: list[Callable[[], object]], rounds: int, random: Random) -> None:
    """Letters arrive and rules are due all the time; now and then something dies."""
    for number in range(rounds):
        world = random.choice(worlds)
        world.send(random.randint(1, 5))
        act = world.engine.begin("ask_for_poll", rule=world.rule)
        act.doze(PAUSE)
        world.user_takes(0.5)
        if disasters and number % 8 == 7:
            random.choice(disasters)()


def collect_all(worlds: list[World]) -> None:
    """Let everything be collected. What the dead had claimed is given up now and then, with time for the living in between."""
    waiting = worlds
    for _ in range(8):
        for world in waiting:
            world.engine.begin("outlive_leases", rule=world.rule).wait()
            world.engine.begin("ask_for_poll", rule=world.rule).wait()
        with suppress(TimeoutError):
            until(lambda: not any(world.maildrop.letters for world in worlds), 20)
        waiting = [world for world in worlds if world.maildrop.letters]
    assert not waiting, [world.name for world in waiting]


def test_it_survives_the_death_of_any_service(tmp_path: Path, postgres: Postgres, campaign: NewCampaign) -> None:
    row, rounds = campaign("worker, beat, Redis, PostgreSQL die under load"), size(1200)
    with ExitStack() as stack, installation(tmp_path / "data", postgres, stack) as (engine, services, port):
        worlds = [stack.enter_context(new_world(engine, f"service-{number}", SEED)) for number in range(WORLDS)]
        disasters: list[Callable[[], object]] = [
            lambda: services.kill("worker"),
            lambda: services.kill("beat-1"),
            lambda: services.kill("redis"),
            lambda: flush(port),
            lambda: restart_database(engine.env["UTM_MAIL_DATABASE_URL"]),
        ]
        live(worlds, disasters, rounds, Random(SEED))
        collect_all(worlds)
        for world in worlds:
            world.poll_until_quiet()
        tally = sum((world.count() for world in worlds), Tally())
        assert tally.collected == tally.letters
        row.add(rounds // 8, tally)


def test_it_survives_kills_of_the_one_process_installation(tmp_path: Path, campaign: NewCampaign) -> None:
    row, kills = campaign("SIGKILL of manage.py up"), size(50)
    with ExitStack() as stack, running_engine(tmp_path / "data") as engine:
        random, services = Random(SEED), Services(engine, stack)
        worlds = [stack.enter_context(new_world(engine, f"up-{number}", SEED)) for number in range(WORLDS)]
        (port,) = free_ports(1)
        services.start("up", sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port))
        for _ in range(kills):
            collect_all(worlds)
            live(worlds, [], random.randint(4, 16), random)
            services.kill("up")
        collect_all(worlds)
        end(services._processes["up"])
        for world in worlds:
            world.poll_until_quiet()
        tally = sum((world.count() for world in worlds), Tally())
        assert tally.collected == tally.letters
        row.add(kills, tally)
