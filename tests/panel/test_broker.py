"""Whether tasks can be handed out: what Redis answers, in words, asked for at most every few seconds."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from fetchrules.panel.pages import service
from tests.servers.loopback import LoopbackServer, Peer


@pytest.fixture(autouse=True)
def nothing_asked_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_last", service._Answer())


@pytest.fixture
def answers() -> list[bytes]:
    """What the server says to SET."""
    return [b"+OK\r\n"]


@pytest.fixture
def redis(answers: list[bytes], settings: Settings) -> Iterator[LoopbackServer]:
    """As much of a Redis as is asked for: it takes the name of the client, and a key."""

    def serve(peer: Peer) -> None:
        while line := peer.read_line():
            if line.upper() == b"SET":
                peer.send(answers[-1])
            elif line.upper() in {b"CLIENT", b"HELLO", b"SELECT"}:
                peer.send(b"+OK\r\n")

    with LoopbackServer(serve) as server:
        settings.UTM_MAIL_REDIS_URL = f"redis://127.0.0.1:{server.port}/0"
        yield server


def test_it_has_nothing_to_ask_without_redis(settings: Settings) -> None:
    settings.UTM_MAIL_REDIS_URL = ""
    assert service.broker_trouble("q") is None


def test_it_says_nothing_of_a_redis_that_takes_tasks(redis: LoopbackServer) -> None:
    assert service.broker_trouble("q") is None
    assert redis.connections == 1


def test_it_asks_once_in_a_while(redis: LoopbackServer) -> None:
    for _ in range(3):
        service.broker_trouble("q")
    assert redis.connections == 1
    service._last.at -= 6
    service.broker_trouble("q")
    assert redis.connections == 2


def test_it_says_why_redis_refuses(redis: LoopbackServer, answers: list[bytes]) -> None:
    answers.append(b"-MISCONF Errors writing to the disk" + b"!" * 500 + b"\r\n")
    trouble = service.broker_trouble("q")
    assert trouble is not None
    assert "Errors writing to the disk" in trouble.words
    assert len(trouble.words) < 2 * service.LONGEST_REASON


def test_it_names_the_command_where_nothing_answers(settings: Settings) -> None:
    settings.UTM_MAIL_REDIS_URL = "redis://127.0.0.1:1/0"
    assert service.broker_trouble("q") == service.BrokerTrouble(
        "Redis does not answer: tasks are not handed out.", "redis-server"
    )
