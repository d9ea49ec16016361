"""Small stories that end well with a sound engine, and badly with a broken one. Each raises AssertionError if it ends badly.

`world.change` names the variant of the engine that polls while things go wrong; the last polls are the sound one's.
"""

import shutil
from collections.abc import Callable

from tests.faults.order import breaches, letters_moved
from tests.faults.steps import CONTINUE, KILL, STOP
from tests.faults.tracing import poll_traced
from tests.faults.world import World
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, Say, Step

Scenario = Callable[[World], None]


def come_to_rest(world: World) -> None:
    """Poll undisturbed, and see that every letter was collected once and none is left."""
    world.server.behaviour = Behaviour()
    row = world.poll_until_quiet()
    tally = world.count()
    assert tally.sound, tally
    assert tally.collected == tally.letters, (tally, row)
    if not world.keep:
        assert tally.left == 0, (tally, row)
        assert world.engine.do("unfinished", rule=world.rule) == 0


def killed(step: str, when: str) -> Scenario:
    """The poll dies before or after a step; the user takes what he sees; the next poll is a sound one's or not."""

    def scenario(world: World) -> None:
        world.send(3)
        world.poll(stop=((step, when, 1, KILL),))
        world.user_takes()
        world.engine.do("outlive_leases", rule=world.rule)
        world.poll()
        come_to_rest(world)

    return scenario


def overtaken(step: str, when: str) -> Scenario:
    """The poll falls asleep at a step until its claim is lost and another poll has done everything; then it goes on."""

    def scenario(world: World) -> None:
        world.send(3)
        asleep = world.begin_poll(stop=((step, when, 1, STOP),))
        assert asleep.stopped_or_ended(), f"no poll comes to {step}"
        world.user_takes()
        world.engine.do("outlive_leases", rule=world.rule)
        world.send(2)
        world.poll()
        world.user_takes()
        asleep.signal(CONTINUE)
        asleep.wait()
        come_to_rest(world)

    return scenario


def switched(step: str, when: str) -> Scenario:
    """The letters are delivered; before their deletion lasts, the rule is told to leave them on the server."""

    def scenario(world: World) -> None:
        world.send(3)
        asleep = world.begin_poll(stop=((step, when, 1, STOP),))
        assert asleep.stopped_or_ended()
        world.engine.do("edit_rule", rule=world.rule, keep=True)
        asleep.signal(CONTINUE)
        asleep.wait()
        assert world.count().left == 3
        world.engine.do("edit_rule", rule=world.rule, keep=False)
        come_to_rest(world)

    return scenario


def served(*faults: Fault, polls: int = 1) -> Scenario:
    """The server behaves badly for some polls."""

    def scenario(world: World) -> None:
        world.send(3)
        world.server.behaviour = Behaviour(faults=faults)
        for _ in range(polls):
            world.poll(alone=True)
            world.user_takes()
        come_to_rest(world)

    return scenario


def maildir_replaced(world: World) -> None:
    """Between the record and the delivery the Maildir is away, and an empty one stands in its place."""
    world.send(1)
    world.poll()
    world.send(3)
    world.poll(stop=(("commit", "before", 1, KILL),))
    away = world.maildir.rename(world.maildir.with_name(f"{world.name}-away"))
    for part in ("new", "cur", "tmp/utm-mail"):
        (world.maildir / part).mkdir(parents=True)
    for _ in range(2):
        world.engine.do("outlive_leases", rule=world.rule)
        world.poll()
        world.user_takes()
    shutil.rmtree(world.maildir)
    away.rename(world.maildir)
    come_to_rest(world)


def names_change(world: World) -> None:
    """The answer to QUIT is lost, the letters are still there, and all of them have new names."""
    world.send(3)
    world.server.behaviour = Behaviour(faults=(Fault(Step.QUIT, Cut()),))
    world.poll()
    world.rename_all()
    world.server.behaviour = Behaviour()
    world.poll()
    come_to_rest(world)


def in_order(world: World) -> None:
    """What the system is asked for comes in the order that makes it durable."""
    world.send(3)
    world.poll()
    world.send(5)
    ended, trace = poll_traced(world)
    assert ended.status == 0
    assert letters_moved(trace) == 5
    assert breaches(trace) == []
    come_to_rest(world)


def forged_behind_starttls(world: World) -> None:
    """Somebody on the line puts a whole session in the clear behind the answer to STLS."""
    forged = (
        b"+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n+OK 1 20\r\n+OK\r\n1 forged\r\n.\r\n+OK\r\n1 20\r\n.\r\n"
        b"+OK\r\nnot from the server\r\n.\r\n+OK\r\n+OK\r\n"
    )
    world.send(2)
    world.server.behaviour = Behaviour(faults=(Fault(Step.STLS, Alter(lambda answer: answer + forged)),))
    world.poll()
    world.server.behaviour = Behaviour()
    come_to_rest(world)


def checked(world: World) -> None:
    """The system check speaks of a database that forgets its last seconds in a power cut."""
    wrong = world.engine.begin("check", change=world.change).wait().result
    assert wrong == [], wrong


SWITCHED_BEFORE_DELE = switched("deleting", "before")
SWITCHED_BEFORE_QUIT = switched("delete", "after")
REFUSED_QUIT = served(Fault(Step.QUIT, Say(b"-ERR [SYS/TEMP] try again\r\n")))
CUT_LETTER = served(Fault(Step.RETR, Cut(200), nth=2), Fault(Step.RETR, Cut(60)), polls=2)
