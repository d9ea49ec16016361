from dataclasses import dataclass

import pytest

from fetchrules.remote.account import ServerKey
from fetchrules.remote.memory import DISTRUST_SECONDS, CapabilityMemory
from fetchrules.remote.pop3.protocol import Verb

ONE, TWO, THREE = (ServerKey("mailserver.ru", port, tls=True) for port in (1, 2, 3))
SOME = frozenset({"UIDL"})


@dataclass
class Clock:
    """Goes on when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> CapabilityMemory:
    return CapabilityMemory(2, clock)


def swallow(memory: CapabilityMemory, clock: Clock, kind: Verb = Verb.RETR, key: ServerKey = ONE) -> None:
    """A session with `key` whose burst ends in silence."""
    judge = memory.judge(key)
    clock.now += 1
    judge(kind, False)


def test_it_knows_what_it_was_told_last() -> None:
    memory = CapabilityMemory(limit=2)
    memory.remember(ONE, frozenset())
    memory.remember(ONE, SOME)
    assert memory.recall(ONE) == SOME
    assert memory.recall(TWO) is None


def test_it_tells_a_server_inside_tls_from_the_same_outside() -> None:
    memory = CapabilityMemory(limit=2)
    memory.remember(ONE, SOME)
    assert memory.recall(ServerKey("mailserver.ru", 1, tls=False)) is None


def test_it_forgets_who_was_not_used_for_longest() -> None:
    memory = CapabilityMemory(limit=2)
    memory.remember(ONE, SOME)
    memory.remember(TWO, SOME)
    memory.recall(ONE)
    memory.remember(THREE, SOME)
    assert memory.recall(TWO) is None
    assert memory.recall(ONE) == SOME


def test_it_forgets_on_request() -> None:
    memory = CapabilityMemory(limit=2)
    memory.remember(ONE, SOME)
    memory.forget(ONE)
    memory.forget(TWO)
    assert memory.recall(ONE) is None


def test_it_trusts_a_server_of_which_one_burst_was_swallowed(memory: CapabilityMemory, clock: Clock) -> None:
    swallow(memory, clock)
    assert memory.trusts(ONE)


def test_it_distrusts_a_server_for_a_day_that_swallowed_two(memory: CapabilityMemory, clock: Clock) -> None:
    swallow(memory, clock)
    swallow(memory, clock)
    memory.forget(ONE)
    assert not memory.trusts(ONE)
    assert memory.trusts(TWO)
    clock.now += DISTRUST_SECONDS - 1
    assert not memory.trusts(ONE)
    clock.now += 1
    assert memory.trusts(ONE)


def test_it_needs_one_more_after_that_day(memory: CapabilityMemory, clock: Clock) -> None:
    swallow(memory, clock)
    swallow(memory, clock)
    clock.now += DISTRUST_SECONDS
    swallow(memory, clock)
    assert not memory.trusts(ONE)


def test_it_begins_to_count_anew_with_a_burst_that_was_answered(memory: CapabilityMemory, clock: Clock) -> None:
    for _ in range(3):
        swallow(memory, clock)
        memory.judge(ONE)(Verb.RETR, True)
    assert memory.trusts(ONE)


def test_it_takes_no_answer_to_another_kind_of_burst_for_one(memory: CapabilityMemory, clock: Clock) -> None:
    for _ in range(2):
        memory.judge(ONE)(Verb.LIST, True)
        swallow(memory, clock)
    assert not memory.trusts(ONE)


def test_it_counts_what_breaks_at_once_as_one(memory: CapabilityMemory, clock: Clock) -> None:
    judges = [memory.judge(ONE) for _ in range(9)]
    for judge in judges:
        clock.now += 1
        judge(Verb.RETR, False)
    assert memory.trusts(ONE)


def test_it_doubts_so_many_servers_and_no_more(memory: CapabilityMemory, clock: Clock) -> None:
    for key in (ONE, TWO, THREE):
        swallow(memory, clock, key=key)
        swallow(memory, clock, key=key)
    assert [memory.trusts(key) for key in (ONE, TWO, THREE)] == [True, False, False]
