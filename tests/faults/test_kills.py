"""SIGKILL at any moment, to one poll or to two at once, with and without respect for the claim."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

import pytest

from tests.faults.campaign import SEED, size
from tests.faults.conftest import NewCampaign
from tests.faults.engine import ROOT, Engine
from tests.faults.scenarios import come_to_rest
from tests.faults.steps import KILL, STEPS
from tests.faults.world import World, new_world

REST_AFTER = 25
"""Rounds between two counts."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a campaign of kills goes. `claims`: a claim is respected until its time is up; else it is taken away at once."""

    name: str
    processes: int = 1
    claims: bool = True
    keep: bool = False
    flush: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """Of the rule."""
        return {"keep": self.keep, "flush": self.flush}


SETTINGS = (
    Setting("one process"),
    Setting("one process, claims taken away", claims=False),
    Setting("two processes", processes=2),
    Setting("two processes, claims taken away", processes=2, claims=False),
    Setting("two processes, claims taken away, keep", processes=2, claims=False, keep=True),
    Setting("two processes, claims taken away, keep flush", processes=2, claims=False, keep=True, flush=True),
)


def kill_again_and_again(world: World, setting: Setting, kills: int) -> int:
    """Poll and kill until so many polls were killed; how many it were in the end, with the world at rest and counted."""
    span, killed, rounds = 0.1, 0, 0
    while killed < kills:
        rounds += 1
        world.send(world.random.randint(0, 25))
        with world.restless_user():
            began = monotonic()
            acts = [
                world.begin_poll(alone=not setting.claims, kill_after=world.random.uniform(0, span))
                for _ in range(setting.processes)
            ]
            ended = [act.wait() for act in acts]
        killed += sum(end.killed for end in ended)
        if not any(end.killed for end in ended):
            span = 0.9 * span + 0.1 * (monotonic() - began)
        else:
            span *= 1.02
        if setting.claims and world.random.random() < 0.7:
            world.engine.do("outlive_leases", rule=world.rule)
        if rounds % REST_AFTER == 0:
            come_to_rest(world)
            world.somebody_deletes(0.3)
    come_to_rest(world)
    return killed


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_it_survives_kills(setting: Setting, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign(f"SIGKILL at random times, {setting.name} (sample)")
    with new_world(engine, f"sample{SETTINGS.index(setting)}", SEED, **setting.columns) as world:
        killed = kill_again_and_again(world, setting, 12)
        row.add(killed, world.count())


@pytest.mark.parametrize("step", STEPS)
def test_it_survives_a_kill_before_and_after(step: str, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("SIGKILL before and after each step of a poll")
    with new_world(engine, f"kill-at-{step}", SEED) as world:
        for when in ("before", "after"):
            world.send(5)
            assert world.poll(alone=True, stop=((step, when, 1, KILL),)).killed, f"no poll came to {step}"
            world.user_takes(0.5)
        come_to_rest(world)
        row.add(2, world.count())


def kill_the_command(world: World, kills: int) -> int:
    """As `kill_again_and_again`, with a process of its own for every poll."""
    random, killed, span = Random(SEED), 0, 3.0
    command = [sys.executable, str(ROOT / "manage.py"), "poll", str(world.rule)]
    log = world.engine.data / "command.log"
    while killed < kills:
        world.send(random.randint(1, 40))
        world.engine.do("take_claims", rule=world.rule)
        began = monotonic()
        with log.open("ab") as output, world.restless_user():
            process = subprocess.Popen(command, env=world.engine.env, cwd=ROOT, stdout=output, stderr=output)
            try:
                process.wait(random.uniform(0.5 * span, span))
                span = monotonic() - began
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                killed += 1
                span *= 1.1
    come_to_rest(world)
    return killed


@pytest.mark.faults
def test_it_survives_kills_of_the_real_command(engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("SIGKILL at random times, a new manage.py poll each time")
    with new_world(engine, "command", SEED) as world:
        row.add(kill_the_command(world, size(300)), world.count())


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_it_survives_thousands_of_kills(setting: Setting, part: int, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign(f"SIGKILL at random times, {setting.name}")
    with new_world(engine, f"kills{SETTINGS.index(setting)}part{part}", SEED, **setting.columns) as world:
        row.add(kill_again_and_again(world, setting, size(400)), world.count())


@pytest.mark.interop
@pytest.mark.xdist_group("postgres")
def test_it_survives_kills_on_postgresql(postgres_engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("SIGKILL at random times, PostgreSQL (sample)")
    setting = SETTINGS[3]
    with new_world(postgres_engine, "sample", SEED) as world:
        row.add(kill_again_and_again(world, setting, 12), world.count())


@pytest.mark.faults
@pytest.mark.interop
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_it_survives_thousands_of_kills_on_postgresql(
    setting: Setting, postgres_engine: Engine, campaign: NewCampaign
) -> None:
    row = campaign(f"SIGKILL at random times, PostgreSQL, {setting.name}")
    with new_world(postgres_engine, f"kills{SETTINGS.index(setting)}", SEED, **setting.columns) as world:
        row.add(kill_again_and_again(world, setting, size(400)), world.count())
