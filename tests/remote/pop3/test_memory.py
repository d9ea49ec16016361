from fetchrules.remote.pop3.grammar import Capabilities
from fetchrules.remote.pop3.memory import CapabilityMemory, ServerKey

ONE, TWO, THREE = (ServerKey("mailserver.ru", port, tls=True) for port in (1, 2, 3))
SOME = Capabilities(frozenset({"UIDL"}))


def test_it_knows_what_it_was_told_last() -> None:
    memory = CapabilityMemory(limit=2)
    memory.remember(ONE, Capabilities())
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
