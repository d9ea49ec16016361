"""Every hostile server, cut up and encrypted in every way, met by every kind of rule in a process of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest

from tests.certificates import Certificates
from tests.faults.campaign import FULL, SEED
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.scenarios import come_to_rest
from tests.faults.world import DEADLINES, Tally, World, new_world
from tests.servers.pop3_scripts import SCRIPTS, Script

HASTY = {"connect": 5.0, "idle": 0.5, "session": 2.5, "slowest": 1000}
IN_TIME = 20.0
"""Seconds for a hostile poll: HASTY's session, and the patience that a busy machine needs."""
PEAK = 150 * 1024
"""KiB that a poll may use, the product's code included."""
AT_ONCE = 8
RULES: dict[str, dict[str, Any]] = {
    "nokeep": {},
    "keep": {"keep": True},
    "keep flush": {"keep": True, "flush": True},
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a script is met."""

    rule: str
    encryption: str
    slice: int

    def __str__(self) -> str:
        return f"{self.rule}, {self.encryption}, {f'slices of {self.slice}' if self.slice else 'whole'}"


WAYS = [Way(*way) for way in product(RULES, ("plaintext", "starttls", "ssl"), (0, 1, 7))]


def meet(engine: Engine, script: Script, way: Way, certificates: Certificates) -> Tally:
    """Two hostile polls, then good ones until there is nothing to do."""
    name = f"{way}-{script.name}".translate(_SAFE).lower()[:60] + f"-{SCRIPTS.index(script)}"
    with _world(engine, name, script, way, certificates) as world:
        for data in script.letters:
            world.oracle.sent(data)
            world.maildrop.add(data)
        polls = 0
        while (polls < 2 and world.maildrop.letters) or not polls:
            ended = world.poll(alone=True)
            _judge(world, script, ended.seconds, ended.peak, ended.result)
            polls += 1
        world.deadlines = dict(DEADLINES)
        world.server.behaviour = replace(script.behaviour, faults=(), uidl=True)
        if script.faithful:
            come_to_rest(world)
            return world.count()
        world.poll_until_quiet()
        return Tally()


@contextmanager
def _world(engine: Engine, name: str, script: Script, way: Way, certificates: Certificates) -> Iterator[World]:
    many = sum(map(len, script.letters)) > 100_000
    behaviour = replace(script.behaviour, slice=way.slice * (1000 if many else 1))
    tls = None if way.encryption == "plaintext" else certificates.good.context()
    columns = {"encryption": way.encryption, **RULES[way.rule]}
    with new_world(engine, name, SEED, behaviour, tls=tls, implicit=way.encryption == "ssl", **columns) as world:
        world.deadlines = dict(HASTY)
        yield world


def _judge(world: World, script: Script, seconds: float, peak: int, row: dict[str, Any]) -> None:
    assert seconds < IN_TIME, (script.name, seconds)
    assert peak < PEAK, (script.name, peak)
    assert not row["error"] or row["error"]["code"] != "internal_error", (script.name, row)
    if script.faithful:
        assert world.count().sound, (script.name, world.count())


_SAFE = str.maketrans(dict.fromkeys(" :,.[]/^()+<>@*", "-"))


@pytest.mark.faults
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_it_survives_every_hostile_server(
    way: Way, engine: Engine, certificates: Certificates, campaign: NewCampaign
) -> None:
    row = campaign("hostile servers x slices x encryption x rules")
    scripts = SCRIPTS if FULL else SCRIPTS[WAYS.index(way) :: len(WAYS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for tally in pool.map(lambda script: meet(engine, script, way, certificates), scripts):
            row.add(1, tally)
