"""The harness is tested too: each broken variant of the engine is caught by its scenario, which the sound engine passes."""

from typing import Any

import pytest

from tests.certificates import Certificates
from tests.faults import scenarios
from tests.faults.campaign import SEED
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.scenarios import Scenario
from tests.faults.world import new_world

CATCHERS: dict[str, tuple[Scenario, ...]] = {
    "row after rename": (scenarios.killed("record", "before"), scenarios.in_order),
    "renamed while the next is received": (scenarios.killed("record", "before"),),
    "no fsync of letters": (scenarios.in_order,),
    "no fsync of directories": (scenarios.in_order,),
    "delete early": (scenarios.killed("record", "before"), scenarios.in_order),
    "recover by looking into new": (scenarios.killed("rename", "after"), scenarios.killed("delivered", "before")),
    "forget at quit": (scenarios.REFUSED_QUIT, scenarios.killed("quit", "before")),
    "no last look": (scenarios.SWITCHED_BEFORE_QUIT,),
    "no marker check": (scenarios.maildir_replaced,),
    "buffer kept over starttls": (scenarios.forged_behind_starttls,),
    "sqlite synchronous normal": (scenarios.checked, scenarios.in_order),
    "half a letter is a letter": (scenarios.CUT_LETTER,),
    "claim not looked at": (scenarios.SWITCHED_BEFORE_DELE,),
    "neither claim nor key": (scenarios.overtaken("record", "before"),),
    "names believed": (scenarios.names_change,),
}

EVERY = [(mutant, number) for mutant, catchers in CATCHERS.items() for number in range(len(catchers))]


@pytest.mark.parametrize(("mutant", "number"), EVERY)
def test_it_catches(
    mutant: str, number: int, engine: Engine, certificates: Certificates, campaign: NewCampaign
) -> None:
    scenario = CATCHERS[mutant][number]
    starttls = scenario is scenarios.forged_behind_starttls
    columns: dict[str, Any] = {"encryption": "starttls", "sslcertck": False} if starttls else {}
    name = f"{mutant.replace(' ', '-')}-{number}"
    with new_world(engine, f"{name}-sound", SEED, tls=certificates.good.context(), **columns) as world:
        scenario(world)
        campaign("the scenarios of the broken variants, with the sound engine").add(1, world.count())
    with new_world(engine, name, SEED, tls=certificates.good.context(), **columns) as world:
        world.change = mutant
        with pytest.raises(AssertionError):
            scenario(world)
