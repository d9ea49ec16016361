"""Each mechanism against its RFC's example, and against servers that ask for nonsense."""

from base64 import b64decode
from collections.abc import Callable

import pytest

from fetchrules.errors import LocalProtocolError, RemoteProtocolError
from fetchrules.remote.auth.credentials import Password, encoded
from fetchrules.remote.auth.exchange import CHALLENGE_MAX, Exchange, Refusal
from fetchrules.remote.auth.sasl import begin
from fetchrules.remote.auth.scram import SaltedKeys
from fetchrules.remote.auth.ways import SASL, Way

KEYS = SaltedKeys(10)
ANY = 9999


def begun(way: Way, user: str = "petrov", secret: str = "petrovpasswd") -> Exchange:
    return begin(way, user, Password(secret), KEYS)


@pytest.mark.parametrize("way", sorted(SASL))
@pytest.mark.parametrize("nasty", ["a\rb", "a\nb", "a\0b"])
def test_it_takes_no_name_that_could_hide_a_command(way: Way, nasty: str) -> None:
    with pytest.raises(LocalProtocolError):
        begun(way, user=nasty)


@pytest.mark.parametrize("way", sorted(set(Way) - SASL))
def test_it_knows_no_exchange_for_the_protocols_own_ways(way: Way) -> None:
    with pytest.raises(LocalProtocolError):
        begun(way)


@pytest.mark.parametrize("way", sorted(SASL))
@pytest.mark.parametrize("one_step", [True, False])
def test_it_opens_with_the_mechanism(way: Way, one_step: bool) -> None:
    argument = begun(way).opening(ANY if one_step else 0)
    has_more = one_step and way not in (Way.LOGIN, Way.CRAM_MD5)
    assert argument.split(" ")[0] == way
    assert (" " in argument) == has_more


@pytest.mark.parametrize("way", sorted(SASL))
def test_it_reads_only_so_much_of_a_challenge(way: Way) -> None:
    with pytest.raises(RemoteProtocolError):
        begun(way).answer("A" * (CHALLENGE_MAX + 1))


def test_it_says_plain_in_one_step() -> None:
    exchange = begun(Way.PLAIN, "tim", "tanstaaftanstaaf")
    assert exchange.opening(ANY) == "PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"
    assert exchange.refusal is Refusal.PASSWORD
    exchange.finish()


@pytest.mark.parametrize("challenge", ["", " ", "AA==", "say it"])
def test_it_says_plain_in_two_steps(challenge: str) -> None:
    exchange = begun(Way.PLAIN, "tim", "tanstaaftanstaaf")
    assert exchange.opening() == "PLAIN"
    before = exchange.refusal
    assert exchange.answer(challenge) == "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"
    assert (before, exchange.refusal) == (Refusal.MECHANISM, Refusal.PASSWORD)


@pytest.mark.parametrize(("longest", "argument"), [(34, "PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"), (33, "PLAIN")])
def test_it_says_in_one_step_only_so_much(longest: int, argument: str) -> None:
    assert begun(Way.PLAIN, "tim", "tanstaaftanstaaf").opening(longest) == argument


def test_it_writes_an_initial_response_of_nothing_as_an_equals_sign() -> None:
    assert Exchange(Way.PLAIN, b"").opening(ANY) == "PLAIN ="


@pytest.mark.parametrize(
    "asked", [("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("VXNlciBOYW1lAA==", "UGFzc3dvcmQA"), ("Login:", "")]
)
def test_it_says_login_whatever_the_server_asks(asked: tuple[str, str]) -> None:
    exchange = begun(Way.LOGIN)
    answers, refusals = [], [exchange.refusal]
    for challenge in asked:
        answers.append(b64decode(exchange.answer(challenge)))
        refusals.append(exchange.refusal)
    exchange.finish()
    assert answers == [b"petrov", b"petrovpasswd"]
    assert refusals == [Refusal.MECHANISM, Refusal.NAME, Refusal.PASSWORD]


def test_it_digests_as_rfc_2195_does() -> None:
    exchange = begun(Way.CRAM_MD5, "tim", "tanstaaftanstaaf")
    before = exchange.refusal
    answer = exchange.answer("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
    assert answer == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
    assert (before, exchange.refusal) == (Refusal.MECHANISM, Refusal.PASSWORD)
    exchange.finish()


NONSENSE = [
    "",
    " ",
    "=",
    "not base64",
    "дом",
    encoded(b"<>"),
    encoded(b"no angles"),
    encoded(b"<a b>"),
    encoded(b"<a\r\nb>"),
]


@pytest.mark.parametrize("challenge", NONSENSE)
def test_it_digests_no_nonsense(challenge: str) -> None:
    exchange = begun(Way.CRAM_MD5)
    with pytest.raises(RemoteProtocolError):
        exchange.answer(challenge)
    assert exchange.refusal is Refusal.MECHANISM


@pytest.mark.parametrize("way", [Way.PLAIN, Way.LOGIN, Way.CRAM_MD5])
def test_it_answers_only_so_often(way: Way) -> None:
    exchange = begun(way)
    with pytest.raises(RemoteProtocolError):
        _forever(lambda: exchange.answer(encoded(b"<1@x>")))


def _forever(step: Callable[[], object]) -> None:
    for _ in range(10):
        step()
