"""The queue holds wake-ups and nothing else: messages may come twice, too late, forged or not at all; beats may be two."""

from typing import Any

import pytest

from tests.faults.campaign import SEED
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.scenarios import come_to_rest
from tests.faults.world import new_world

FORGED: tuple[list[Any], ...] = (
    ["1"],
    ["x"],
    ["1; DROP TABLE fetchrules_run"],
    [None],
    [[1]],
    [{"id": 1}],
    [-1],
    [0],
    [2**31],
    [2**63],
    [2**70],
    [1.5],
    [""],
    ["\0"],
    [],
    [1, 2],
)


def test_it_claims_a_rule_once_however_many_beats_tick(engine: Engine, campaign: NewCampaign) -> None:
    with new_world(engine, "two-beats", SEED) as world:
        row, sent = campaign("two beats, messages twice"), []
        for _ in range(3):
            world.send(3)
            engine.do("ask_for_poll", rule=world.rule)
            ticks = [engine.begin("dispatch") for _ in range(4)]
            sent = [run for tick in ticks for run in tick.wait().result]
            assert len(sent) == 1
            messages = [engine.begin("message", arguments=sent) for _ in range(4)]
            assert {message.wait().result for message in messages} == {""}
            assert world.count().left == 0
        assert engine.do("message", arguments=sent) == "", "a message that comes again much later"
        come_to_rest(world)
        row.add(3 * 8, world.count())


@pytest.mark.parametrize("arguments", FORGED, ids=str)
def test_it_does_nothing_for_a_forged_message(arguments: list[Any], engine: Engine) -> None:
    with new_world(engine, "forged", SEED, user=f"forged-{FORGED.index(arguments)}") as world:
        world.send(1)
        engine.do("message", arguments=arguments)
        assert world.server.connections == 0


def test_it_loses_nothing_with_a_message_that_never_comes(engine: Engine, campaign: NewCampaign) -> None:
    with new_world(engine, "lost-message", SEED) as world:
        world.send(3)
        engine.do("ask_for_poll", rule=world.rule)
        assert len(engine.do("dispatch")) == 1, "and nobody takes it"
        assert engine.do("dispatch") == []
        engine.do("outlive_leases", rule=world.rule)
        come_to_rest(world)
        campaign("messages lost").add(1, world.count())
