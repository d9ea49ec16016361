"""The line is cut after every octet of a session with five letters, in either direction, politely or not."""

from collections.abc import Sequence

import pytest

from tests.faults.campaign import FULL, SEED
from tests.faults.conftest import NewCampaign
from tests.faults.cutter import Cutter, Direction
from tests.faults.engine import Engine
from tests.faults.scenarios import come_to_rest
from tests.faults.world import Tally, World, new_world

LETTERS = 5
PARTS = 8


def measure(world: World, cutter: Cutter) -> dict[Direction, int]:
    """How many octets go either way in a session with five letters."""
    cutter.after = None
    world.send(LETTERS, 200)
    come_to_rest(world)
    world.send(LETTERS, 200)
    assert world.poll().result["fetched"] == LETTERS
    return dict(cutter.passed)


def cut_at(world: World, cutter: Cutter, direction: Direction, offsets: Sequence[int]) -> tuple[int, Tally]:
    """Collect five letters over a line that is cut, and then over a good one, for each offset."""
    for offset in offsets:
        world.send(LETTERS, 200)
        cutter.direction, cutter.after, cutter.reset = direction, offset, bool(offset % 2)
        world.poll(alone=True)
        world.user_takes(0.5)
        cutter.after = None
        world.poll(alone=True)
        tally = world.count()
        if tally.collected != tally.letters or tally.left or not tally.sound:
            come_to_rest(world)
    come_to_rest(world)
    return len(offsets), world.count()


@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
def test_it_survives_cuts(direction: Direction, engine: Engine, campaign: NewCampaign) -> None:
    with Cutter() as cutter, new_world(engine, f"cut-{direction.name.lower()}", SEED, port=cutter.port) as world:
        cutter.target = world.server.port
        octets = measure(world, cutter)[direction]
        offsets = range(0, octets + 1, octets // 12)
        campaign(f"line cut {direction.value} (sample)").add(*cut_at(world, cutter, direction, offsets))


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
def test_it_survives_a_cut_at_every_octet(
    direction: Direction, part: int, engine: Engine, campaign: NewCampaign
) -> None:
    name = f"cut-{direction.name.lower()}-{part}"
    with Cutter() as cutter, new_world(engine, name, SEED, port=cutter.port) as world:
        cutter.target = world.server.port
        octets = measure(world, cutter)[direction]
        offsets = range(octets + 1)[part :: PARTS if FULL else PARTS * 10]
        campaign(f"line cut at every octet, {direction.value}").add(*cut_at(world, cutter, direction, offsets))
