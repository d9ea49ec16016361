"""Stories that nobody thought of: server, rule, user, time and machine do at random whatever they can do, for a long time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.campaign import SEED, size
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.world import World, new_world
from tests.servers.pop3 import Alter, Behaviour, Fault, Say, Step
from tests.servers.pop3_scripts import LETTERS, SCRIPTS

REST_AFTER = 12
NO_UIDS = Behaviour(capabilities=None, uidl=False)
EMPTY = Behaviour(
    faults=(
        Fault(Step.STAT, Say(b"+OK 0 0\r\n")),
        Fault(Step.UIDL, Say(b"+OK\r\n.\r\n")),
        Fault(Step.LIST, Say(b"+OK\r\n.\r\n")),
    )
)
MISCOUNTING = ("no final dot: RETR", "a letter sent twice")
"""In the middle of a mailbox these make one letter of two, or an answer to a question that was not asked."""
HOSTILE = [
    script.behaviour
    for script in SCRIPTS
    if script.faithful and script.letters == LETTERS and script.name not in MISCOUNTING
]
Event = Callable[[World], object]


def one_name_for_all(answer: bytes) -> bytes:
    """UIDL of a server that has not understood what unique means."""
    lines = answer.splitlines(keepends=True)
    return b"".join(line.split(b" ")[0] + b" same\r\n" if line[:1].isdigit() else line for line in lines)


def edit(world: World) -> None:
    """The administrator changes his mind."""
    columns: dict[str, Any] = world.random.choice(
        (
            {"keep": True, "flush": False},
            {"keep": True, "flush": True},
            {"keep": False, "flush": False},
            {"keepdays": 3},
            {"keepdays": None},
            {"fetchlimit": 2},
            {"fetchlimit": None},
        )
    )
    world.engine.do("edit_rule", rule=world.rule, **columns)


def rotate(world: World) -> None:
    """Every letter gets the name of its neighbour."""
    uids = world.maildrop.uids
    world.rename(uids[1:] + uids[:1])


def reuse(world: World) -> None:
    """The names of letters that were deleted are given to the next ones."""
    world.reused_names = world.somebody_deletes(0.5)


def serve(behaviour: Behaviour) -> Event:
    """The server is of this kind for a while."""

    def change(world: World) -> None:
        world.server.behaviour = behaviour

    return change


def be_hostile(world: World) -> None:
    """The server is one of the hostile ones, in its own way to send."""
    behaviour = world.random.choice(HOSTILE)
    world.server.behaviour = replace(behaviour, slice=world.random.choice((0, 0, 1, 7)))


EVENTS: tuple[tuple[float, Event], ...] = (
    (6.0, lambda world: world.send(world.random.randint(1, 6))),
    (3.0, serve(Behaviour())),
    (2.0, be_hostile),
    (1.0, serve(NO_UIDS)),
    (1.0, serve(EMPTY)),
    (1.0, serve(Behaviour(faults=(Fault(Step.UIDL, Alter(one_name_for_all)),)))),
    (1.0, lambda world: world.rename_all()),
    (1.0, rotate),
    (1.0, reuse),
    (1.0, lambda world: world.somebody_deletes(0.4)),
    (2.0, edit),
    (1.5, lambda world: world.engine.do("days_pass", rule=world.rule, days=world.random.choice((0.5, 1.1, 5.0)))),
    (0.5, lambda world: world.engine.do("tidy")),
)


def live(world: World, rounds: int) -> int:
    """So many rounds of events and polls, counted now and then; how many polls were disturbed."""
    disturbed = 0
    events = [event for _, event in EVENTS]
    weights = [weight for weight, _ in EVENTS]
    for number in range(1, rounds + 1):
        for event in world.random.choices(events, weights, k=world.random.randint(1, 3)):
            event(world)
        disturbed += poll_somehow(world)
        world.user_takes(world.random.random())
        tally = world.count()
        assert tally.sound, (number, tally)
        if number % REST_AFTER == 0:
            rest(world)
    rest(world)
    return disturbed


def poll_somehow(world: World) -> int:
    """One poll or two at once, undisturbed or killed; how many were killed."""
    acts = [
        world.begin_poll(
            alone=world.random.random() < 0.8,
            kill_after=world.random.uniform(0.01, 0.25) if world.random.random() < 0.5 else None,
        )
        for _ in range(world.random.choice((1, 1, 2)))
    ]
    return sum(act.wait().killed for act in acts)


def rest(world: World) -> None:
    """With a good server and nobody else about, every letter gets in."""
    world.server.behaviour = Behaviour()
    world.engine.do("edit_rule", rule=world.rule, fetchlimit=None)
    world.engine.do(
        "days_pass", rule=world.rule, days=1.1
    )  # letters that were tried in vain are tried again after a day
    row = world.poll_until_quiet()
    tally = world.count()
    assert tally.sound, tally
    missing = [letter.uid for letter in world.maildrop.letters if not world.oracle.has_copy(letter.data)]
    assert not missing, (
        tally,
        row,
        missing,
        [row for row in world.engine.do("rows", rule=world.rule) if row["uid"] in missing],
    )


@pytest.mark.parametrize("seed", [SEED])
def test_it_survives_a_random_story(seed: int, engine: Engine, campaign: NewCampaign) -> None:
    with new_world(engine, f"story-{seed}", seed) as world:
        world.deadlines |= {"idle": 0.3, "session": 3.0, "slowest": 1000}
        campaign("random stories (sample)").add(live(world, 24), world.count())


@pytest.mark.faults
@pytest.mark.parametrize("part", range(24))
def test_it_survives_random_stories(part: int, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("random stories")
    for seed in range(size(10)):
        with new_world(engine, f"story-{part}-{seed}", SEED) as world:
            world.deadlines |= {"idle": 0.3, "session": 3.0, "slowest": 1000}
            row.add(live(world, 60), world.count())
