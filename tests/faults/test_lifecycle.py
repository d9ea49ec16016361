"""What happens to machines in the course of time: disks fill up, clocks jump, processes fall asleep, directories go away."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.campaign import SEED, size
from tests.faults.circumstances import CIRCUMSTANCES
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine, running_engine
from tests.faults.scenarios import come_to_rest
from tests.faults.steps import STEPS
from tests.faults.world import World, new_world
from tests.interop.installed import absent

MEBIBYTE = 1024 * 1024
CLOCKS = [name for name in CIRCUMSTANCES if name.endswith(("ahead", "behind"))]
OFTEN_ENOUGH = ("record", "commit", "deleting", "quit")


def play(story: scenarios.Scenario, name: str, engine: Engine, row: str, campaign: NewCampaign) -> None:
    """One story in a world of its own."""
    with new_world(engine, name, SEED) as world:
        story(world)
        campaign(row).add(1, world.count())


@pytest.mark.parametrize("step", OFTEN_ENOUGH)
def test_it_survives_a_sleep_past_its_claim(step: str, engine: Engine, campaign: NewCampaign) -> None:
    play(scenarios.overtaken(step, "before"), f"asleep-{step}", engine, "SIGSTOP past the claim (sample)", campaign)


@pytest.mark.faults
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_it_survives_a_sleep_at_each_step(step: str, when: str, engine: Engine, campaign: NewCampaign) -> None:
    name = f"asleep-{when}-{step}"
    play(scenarios.overtaken(step, when), name, engine, "SIGSTOP past the claim, on again, at each step", campaign)


STORIES = {
    "maildir-replaced": scenarios.maildir_replaced,
    "switched-before-dele": scenarios.SWITCHED_BEFORE_DELE,
    "switched-before-quit": scenarios.SWITCHED_BEFORE_QUIT,
    "names-change": scenarios.names_change,
}


@pytest.mark.parametrize("story", STORIES)
def test_it_survives(story: str, engine: Engine, campaign: NewCampaign) -> None:
    row = "Maildir replaced, rule switched, names changed"
    play(STORIES[story], f"story-{story}", engine, row, campaign)


def test_it_survives_jumps_of_the_clock(engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("the clock jumps, polls are killed meanwhile")
    for columns in ({}, {"keep": True}, {"keepdays": 30}):
        with new_world(engine, f"clock-{'-'.join(columns)}", SEED, **columns) as world:
            for clock in (*CLOCKS, *reversed(CLOCKS)):
                world.send(3)
                act = world.begin_poll(alone=True, change=clock, kill_after=world.random.uniform(0.02, 0.4))
                act.wait()
                world.user_takes(0.5)
            world.poll_until_quiet()
            tally = world.count()
            assert tally.collected == tally.letters
            row.add(2 * len(CLOCKS), tally)


def test_it_survives_a_limit_on_the_size_of_files(engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("files may not grow (RLIMIT_FSIZE)")
    with new_world(engine, "small-files", SEED) as world:
        failures = set()
        for octets in (0, 300_000, 0, 600_000, 0):
            world.send(2, octets)
            said = world.poll(alone=True, change="small files").result
            failures.add("nothing" if said is None else said["error"] and said["error"]["code"])
            world.user_takes(0.5)
        come_to_rest(world)
        row.add(5, world.count())
        assert failures - {None}, "nothing was too large"


@contextmanager
def small_disk(place: Path, octets: int) -> Iterator[None]:
    """A file system of that size at `place`. Skips where none can be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        absent("only root can mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


LEVELS = (900_000, 4_000_000, 0, 800_000, 1_400_000, 500_000, 1_000_000)
"""Octets that somebody else takes; disks here have one or two million."""


def fill(place: Path, octets: int) -> Path:
    """Somebody else's file takes that much room, or what there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            for _ in range(0, octets, 4096):
                file.write(b"x" * 4096)
        except OSError:
            pass
    return filler


def collect_on_a_full_disk(world: World, disk: Path, rounds: int) -> None:
    """Poll with more or less room, often with none; somebody else's file comes and goes."""
    for number in range(rounds):
        world.send(4, world.random.choice((300, 3_000, 60_000)))
        filler = fill(disk, LEVELS[number % len(LEVELS)])
        world.poll(alone=True, change="no reserve")
        if world.random.random() < 0.5:
            filler.unlink()
            world.poll(alone=True, change="no reserve")
        world.user_takes(0.7)
        filler.unlink(missing_ok=True)


@pytest.mark.parametrize("rounds", [6, pytest.param(size(200), marks=pytest.mark.faults)])
def test_it_survives_a_full_disk_under_its_mailbox(rounds: int, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("disk full under the Maildir")
    name = f"full-{rounds}"
    disk = engine.data / "mail" / "mydomain.ru" / name
    with new_world(engine, name, SEED) as world, small_disk(disk, MEBIBYTE):
        collect_on_a_full_disk(world, disk, rounds)
        subprocess.run(["mount", "-o", f"remount,size={128 * MEBIBYTE}", str(disk)], check=True)
        come_to_rest(world)
        row.add(rounds, world.count())
        assert f"{name}@localhost failed: disk_full" in engine.log, "it was never full"


@pytest.mark.parametrize("rounds", [4, pytest.param(size(200), marks=pytest.mark.faults)])
def test_it_survives_a_full_disk_under_its_database(rounds: int, tmp_path: Path, campaign: NewCampaign) -> None:
    row = campaign("disk full under the database")
    disk = tmp_path / "disk"
    database = {"UTM_MAIL_DATABASE_URL": f"sqlite://{disk}/db.sqlite3"}
    with (
        small_disk(disk, 3 * MEBIBYTE),
        running_engine(tmp_path / "data", database) as engine,
        new_world(engine, "full", SEED) as world,
    ):
        collect_on_a_full_disk(world, disk, rounds)
        come_to_rest(world)
        row.add(rounds, world.count())
        assert "disk I/O error" in engine.log or "disk is full" in engine.log, "it was never full"
