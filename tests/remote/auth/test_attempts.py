"""What is tried in one session after another, and what is remembered of it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fetchrules.errors import ConnectionLost, LoginRefused, MailboxBusy, TimedOut
from fetchrules.remote.account import ServerKey
from fetchrules.remote.auth.attempts import CONNECTIONS, Attempts, HungUp, over_several_connections
from fetchrules.remote.auth.choice import CLEAR, PROTECTED, Offer, ways
from fetchrules.remote.auth.credentials import Password
from fetchrules.remote.auth.exchange import Refusal
from fetchrules.remote.auth.memory import DAY, LoginKey, LoginMemory
from fetchrules.remote.auth.ways import SHOWING, Way

HERE = ServerKey("mailserver.ru", 995, tls=True)
PETROV = LoginKey(HERE, "petrov", Password("right").mark)
IVANOV = LoginKey(HERE, "ivanov", Password("right").mark)

SCRAM, SCRAM_1, NATIVE, PLAIN, CRAM, APOP = (
    Way.SCRAM_SHA_256,
    Way.SCRAM_SHA_1,
    Way.NATIVE,
    Way.PLAIN,
    Way.CRAM_MD5,
    Way.APOP,
)

Server = Callable[[Way], Refusal | None]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> LoginMemory:
    return LoginMemory(100, clock)


def session(
    memory: LoginMemory,
    server: Server,
    login: LoginKey = PETROV,
    *,
    protected: bool = True,
    offered: Offer | None = None,
) -> list[Way]:
    """The ways that one session tried, the last of them with success unless `server` refused it."""
    offer = offered or Offer(frozenset(Way))
    tried = []
    attempts = Attempts(memory, login, ways(offer, protected=protected, refused=memory.refused(login.server)))
    for way in attempts:
        tried.append(way)
        refusal = server(way)
        if refusal is None:
            attempts.accepted()
            break
        attempts.refused(refusal, LoginRefused("no"))
    return tried


def accepts(*accepted: Way, refusal: Refusal = Refusal.PASSWORD) -> Server:
    return lambda way: None if way in accepted else refusal


NOBODY = accepts()


def test_it_takes_the_best_way_as_long_as_it_works(memory: LoginMemory) -> None:
    assert [session(memory, accepts(*Way)) for _ in range(3)] == [[SCRAM]] * 3


def test_it_tries_a_way_that_is_refused_though_it_is_offered_once_a_day(memory: LoginMemory, clock: Clock) -> None:
    server = accepts(*SHOWING)
    assert [session(memory, server) for _ in range(3)] == [[SCRAM, NATIVE], [NATIVE], [NATIVE]]
    clock.now += DAY - 1
    assert session(memory, server) == [NATIVE]
    clock.now += 1
    assert session(memory, server) == [SCRAM, NATIVE]


def test_it_remembers_it_for_every_account_of_the_server_and_for_no_other_server(memory: LoginMemory) -> None:
    session(memory, accepts(*SHOWING))
    assert session(memory, accepts(*SHOWING), IVANOV) == [NATIVE]
    elsewhere = LoginKey(ServerKey("mailserver.ru", 110, tls=False), "petrov", PETROV.mark)
    assert session(memory, accepts(*SHOWING), elsewhere) == [SCRAM, NATIVE]


def test_it_tries_each_proof_before_it_shows_the_password_on_a_clear_line(memory: LoginMemory) -> None:
    server = accepts(*SHOWING)
    assert session(memory, server, protected=False) == [SCRAM, CRAM, NATIVE]
    assert session(memory, server, protected=False) == [NATIVE]


def test_it_goes_on_to_the_other_hash_where_no_proof_was_said(memory: LoginMemory) -> None:
    server = {SCRAM: Refusal.MECHANISM, SCRAM_1: None}
    assert session(memory, server.__getitem__) == [SCRAM, SCRAM_1]
    assert session(memory, server.__getitem__) == [SCRAM_1]


def test_it_does_not_show_the_password_where_the_name_was_refused(memory: LoginMemory) -> None:
    offer = Offer(frozenset({NATIVE, PLAIN, APOP}))
    assert session(memory, accepts(refusal=Refusal.NAME), offered=offer) == [NATIVE, APOP]


@pytest.mark.parametrize("order", [PROTECTED, CLEAR])
def test_it_costs_few_failed_logins_at_first_and_then_one_a_poll(order: tuple[Way, ...], memory: LoginMemory) -> None:
    polls = [session(memory, NOBODY, protected=order is PROTECTED) for _ in range(6)]
    assert len(polls[0]) <= 3
    assert [len(tried) for tried in polls[1:]] == [1] * 5
    assert polls[-1] == [NATIVE]


def test_it_begins_anew_with_another_password(memory: LoginMemory) -> None:
    for _ in range(4):
        session(memory, NOBODY)
    again = LoginKey(HERE, "petrov", Password("other").mark)
    assert session(memory, accepts(*Way), again) == [SCRAM]


def test_it_begins_anew_after_a_day(memory: LoginMemory, clock: Clock) -> None:
    for _ in range(4):
        session(memory, NOBODY)
    clock.now += DAY
    assert session(memory, accepts(*Way)) == [SCRAM]


def test_it_learns_nothing_from_a_server_that_refused_everything_for_a_while(memory: LoginMemory) -> None:
    for _ in range(4):
        session(memory, NOBODY)
    assert session(memory, accepts(*Way)) == [NATIVE]
    assert session(memory, accepts(*Way)) == [SCRAM]


def test_it_learns_nothing_of_a_wrong_password_for_other_accounts(memory: LoginMemory) -> None:
    for _ in range(4):
        session(memory, NOBODY)
    assert session(memory, accepts(*Way), IVANOV) == [SCRAM]


def test_it_goes_on_in_the_next_session_where_the_server_hung_up(memory: LoginMemory) -> None:
    order = ways(Offer(frozenset(Way)), protected=False)
    attempts = Attempts(memory, PETROV, order)
    next(iter(attempts))
    attempts.refused(Refusal.PASSWORD, LoginRefused("no"))
    assert attempts.more
    assert session(memory, accepts(*SHOWING), protected=False) == [CRAM, NATIVE]
    assert memory.refused(HERE) == set(Way) - SHOWING


def test_it_tries_the_digests_too_where_the_password_was_refused(memory: LoginMemory) -> None:
    server = accepts(CRAM)
    assert [session(memory, server) for _ in range(3)] == [[SCRAM, NATIVE], [CRAM], [CRAM]]


def test_it_takes_the_proof_for_the_surest_where_nothing_shows_the_password(memory: LoginMemory) -> None:
    offer = Offer(frozenset({SCRAM, CRAM, NATIVE}))

    def server(way: Way) -> Refusal:
        return Refusal.NAME if way is NATIVE else Refusal.MECHANISM if way is SCRAM else Refusal.PASSWORD

    assert [session(memory, server, offered=offer) for _ in range(3)] == [[SCRAM, NATIVE, CRAM], [CRAM], [CRAM]]


def test_it_takes_the_whole_order_where_the_surest_way_is_offered_no_more(memory: LoginMemory) -> None:
    for _ in range(4):
        session(memory, NOBODY)
    assert session(memory, NOBODY, offered=Offer(frozenset({CRAM, APOP}))) == [CRAM]


def test_it_trusts_a_way_again_that_has_worked(memory: LoginMemory) -> None:
    session(memory, accepts(*SHOWING))
    assert SCRAM in memory.refused(HERE)
    memory.accept(IVANOV, SCRAM)
    assert SCRAM not in memory.refused(HERE)


def test_it_has_no_more_to_try_behind_the_last_way(memory: LoginMemory) -> None:
    attempts = Attempts(memory, PETROV, (NATIVE,))
    assert list(attempts) == [NATIVE]
    assert not attempts.more


def test_it_remembers_so_many_and_no_more(clock: Clock) -> None:
    memory = LoginMemory(1, clock)
    memory.refuse(PETROV, SCRAM, Refusal.PASSWORD)
    memory.refuse(IVANOV, SCRAM, Refusal.PASSWORD)
    assert memory.failed(PETROV) is None
    assert memory.failed(IVANOV) is not None


@pytest.mark.parametrize(("error", "raised"), [(ConnectionLost(), HungUp), (TimedOut(), LoginRefused)])
def test_it_takes_a_connection_that_ends_behind_a_refusal_for_the_refusal(
    memory: LoginMemory, error: Exception, raised: type[Exception]
) -> None:
    attempts = Attempts(memory, PETROV, CLEAR)
    next(iter(attempts))
    with pytest.raises(type(error)), attempts.explaining_a_hangup():
        raise error
    attempts.refused(Refusal.PASSWORD, LoginRefused("no"))
    with pytest.raises(raised, match="no"), attempts.explaining_a_hangup():
        raise error


def test_it_raises_what_is_no_verdict_about_the_login(memory: LoginMemory) -> None:
    attempts = Attempts(memory, PETROV, CLEAR)
    next(iter(attempts))
    with pytest.raises(MailboxBusy):
        attempts.refused(Refusal.PASSWORD, MailboxBusy())
    assert memory.failed(PETROV) is None


def test_it_connects_again_where_the_server_hangs_up_so_often_and_no_more() -> None:
    tried: list[None] = []

    def attempt() -> None:
        tried.append(None)
        raise HungUp

    with pytest.raises(HungUp):
        over_several_connections(attempt)
    assert len(tried) == CONNECTIONS
