"""The power fails: the file system forgets what was not made durable, at any moment and at every step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.campaign import SEED, size
from tests.faults.conftest import NewCampaign
from tests.faults.disk import Disk, new_disk
from tests.faults.engine import Engine, running_engine
from tests.faults.scenarios import come_to_rest
from tests.faults.steps import KILL, STEPS, STOP
from tests.faults.world import World, new_world

ROOMY = "no reserve"
Machine = tuple[Disk, Engine]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """An engine whose database and Maildirs are on a disk of their own."""
    with new_disk(tmp_path) as disk:
        env = {
            "UTM_MAIL_DATABASE_URL": f"sqlite://{disk.place}/db.sqlite3",
            "UTM_MAIL_DELIVERY": f"maildir:{disk.place}/mail/{{domain}}/{{local}}",
        }
        with running_engine(tmp_path / "data", env) as engine:
            yield disk, engine


@contextmanager
def a_world(engine: Engine, name: str, change: str = "") -> Iterator[World]:
    """A world on the disk."""
    with new_world(engine, name, SEED) as world:
        world.change = f"{ROOMY}, {change}" if change else ROOMY
        world.rest_change = ROOMY
        yield world


def cut_at(disk: Disk, world: World, step: str, when: str) -> None:
    """Cut the power when the poll comes to `step`."""
    world.send(3)
    act = world.begin_poll(alone=True, stop=((step, when, 1, STOP),))
    assert act.stopped_or_ended(), f"no poll comes to {step}"
    cut(disk, act.signal, act.wait)


def cut(disk: Disk, signal: Callable[[int], None], wait: Callable[[], object]) -> None:
    """The power fails, everything ends, the power comes back."""
    disk.cut()
    signal(KILL)
    wait()
    disk.restart()


def test_it_survives_a_power_cut_at_the_steps_that_matter(machine: Machine, campaign: NewCampaign) -> None:
    disk, engine = machine
    with a_world(engine, "sample") as world:
        for step in ("record", "commit", "deleting", "quit"):
            cut_at(disk, world, step, "after")
        come_to_rest(world)
        campaign("power cut at the steps that matter (sample)").add(disk.cuts, world.count())


@pytest.mark.faults
def test_it_survives_a_power_cut_at_every_step(machine: Machine, campaign: NewCampaign) -> None:
    disk, engine = machine
    with a_world(engine, "steps") as world:
        for step in STEPS:
            for when in ("before", "after"):
                cut_at(disk, world, step, when)
                come_to_rest(world)
        campaign("power cut before and after each step").add(disk.cuts, world.count())


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
def test_it_survives_power_cuts_at_random(part: int, machine: Machine, campaign: NewCampaign) -> None:
    disk, engine = machine
    with a_world(engine, f"random-{part}") as world:
        for number in range(size(250)):
            world.send(world.random.randint(1, 12))
            act = world.begin_poll(alone=True)
            act.doze(world.random.uniform(0, 0.35))
            cut(disk, act.signal, act.wait)
            if number % 10 == 9:
                come_to_rest(world)
        come_to_rest(world)
        campaign("power cut at random times").add(disk.cuts, world.count())


MUTANTS = {
    "no fsync of letters": ("quit", "after"),
    "sqlite synchronous normal": ("deleting", "before"),
    "row after rename": ("record", "before"),
}


@pytest.mark.faults
@pytest.mark.parametrize("mutant", MUTANTS)
def test_it_catches(mutant: str, machine: Machine) -> None:
    disk, engine = machine
    with a_world(engine, "broken", mutant) as world:
        world.poll()
        step, when = MUTANTS[mutant]
        cut_at(disk, world, step, when)
        with pytest.raises(AssertionError):
            come_to_rest(world)
