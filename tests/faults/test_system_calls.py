"""A fault at every system call that a poll makes: killed there, or told of an error, one call after the other."""

from collections.abc import Iterator

import pytest

from tests.faults.campaign import FULL, SEED
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine
from tests.faults.scenarios import come_to_rest
from tests.faults.tracing import ALL_CALLS, Injection, count_calls, poll_traced, was_injected
from tests.faults.world import World, new_world

KILLED = "signal=KILL"
ERRORS = {
    "openat": ("EIO", "ENOSPC", "EMFILE", "EACCES"),
    "write": ("EIO", "ENOSPC", "EDQUOT"),
    "pwrite64": ("EIO", "ENOSPC", "EDQUOT"),
    "close": ("EIO", "EDQUOT"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT"),
    "ftruncate": ("EIO", "ENOSPC"),
    "renameat": ("EIO", "ENOSPC", "EDQUOT", "EACCES"),
    "rename": ("EIO", "ENOSPC", "EDQUOT", "EACCES"),
    "link": ("EIO", "ENOSPC"),
    "linkat": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC",),
    "mkdirat": ("ENOSPC",),
    "unlink": ("EIO", "EACCES"),
    "unlinkat": ("EIO", "EACCES"),
    "connect": ("ECONNREFUSED",),
    "sendto": ("EPIPE", "ECONNRESET"),
    "recvfrom": ("ECONNRESET", "ETIMEDOUT"),
}
REST_AFTER = 10


def injections(world: World, calls: list[str]) -> Iterator[Injection]:
    """Each fault at each call of a small poll."""
    world.send(3)
    made = count_calls(poll_traced(world)[1])
    for call in calls:
        for how in (KILLED, *(f"error={error}" for error in ERRORS.get(call, ()))):
            for nth in range(1, made[call] + 1):
                yield Injection(call, how, nth)


def inject(world: World, faults: Iterator[Injection]) -> int:
    """Poll with one fault after the other; how many happened. Every few of them every letter is counted."""
    happened = 0
    since: list[Injection] = []
    for fault in faults:
        world.send(3)
        _, trace = poll_traced(world, fault)
        happened += was_injected(trace)
        since.append(fault)
        world.user_takes(0.5)
        if len(since) >= REST_AFTER:
            rest(world, since)
            since = []
    rest(world, since)
    return happened


def rest(world: World, since: list[Injection]) -> None:
    """Count; should a letter be missing, say after which faults.

    A session that broke over headers leaves the next day's polls without them, so letters may stay for a day.
    """
    try:
        world.poll_until_quiet()
        if world.maildrop.letters and not world.keep:
            world.engine.do("days_pass", rule=world.rule, days=1.1)
        come_to_rest(world)
    except AssertionError as error:
        raise AssertionError(f"after {', '.join(map(str, since))}: {error}") from error


def every(faults: Iterator[Injection], nth: int) -> Iterator[Injection]:
    """Each `nth` of them."""
    return (fault for position, fault in enumerate(faults) if position % nth == 0)


def test_it_survives_a_fault_at_the_calls_that_make_things_durable(engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("kill or error at system calls (sample)")
    with new_world(engine, "durable-calls", SEED) as world:
        calls = ["fsync", "renameat", "fdatasync", "write"]
        row.add(inject(world, every(injections(world, calls), 4)), world.count())


def test_it_survives_short_writes(engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("short writes")
    with new_world(engine, "short-writes", SEED) as world:
        for _ in range(3):
            world.send(5)
            assert world.poll(change="short writes").status == 0
        come_to_rest(world)
        row.add(3, world.count())


@pytest.mark.faults
@pytest.mark.parametrize("call", ALL_CALLS)
def test_it_survives_a_fault_at_every_call(call: str, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("kill or error at every system call")
    with new_world(engine, f"calls-{call}", SEED) as world:
        faults = injections(world, [call])
        row.add(inject(world, faults if FULL else every(faults, 5)), world.count())


@pytest.mark.faults
@pytest.mark.parametrize("call", ["openat", "close", "mkdirat", "linkat", "fsync", "unlinkat", "write"])
def test_it_survives_a_fault_while_the_mailbox_is_made(call: str, engine: Engine, campaign: NewCampaign) -> None:
    row = campaign("kill or error at every system call, the Maildir is made")
    with new_world(engine, f"first-{call}", SEED) as model:
        faults = list(injections(model, [call]))
    for position, fault in enumerate(faults if FULL else faults[::5]):
        with new_world(engine, f"first-{call}-{position}", SEED) as world:
            world.send(2)
            _, trace = poll_traced(world, fault)
            rest(world, [fault])
            row.add(was_injected(trace), world.count())
