import socket
from threading import Event

import pytest

from fetchrules.errors import HostNotFound
from fetchrules.remote.resolver import ascii_name, resolve


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mailserver.ru", "mailserver.ru"),
        ("mailserver.ru.", "mailserver.ru"),
        ("почта.рф", "xn--80a1acny.xn--p1ai"),
        ("ПОЧТА.рф.", "xn--80a1acny.xn--p1ai"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_it_writes_names_as_dns_does(host: str, name: str) -> None:
    assert ascii_name(host) == name


def test_it_refuses_a_name_that_cannot_be_one() -> None:
    with pytest.raises(HostNotFound):
        ascii_name("я" * 80 + ".рф")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_finds_addresses(host: str) -> None:
    assert ("127.0.0.1", 110) in [endpoint.sockaddr for endpoint in resolve(host, 110, 10)]


def test_it_finds_ipv6_addresses() -> None:
    (endpoint,) = resolve("::1", 110, 10)
    assert endpoint.family == socket.AF_INET6
    assert endpoint.address == "::1"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".ru", "a\0b", ""])
def test_it_says_that_a_name_has_no_address(host: str) -> None:
    with pytest.raises(HostNotFound):
        resolve(host, 110, 10)


def test_it_does_not_wait_for_a_resolver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    released = Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(HostNotFound, match="did not answer"):
        resolve("mailserver.ru", 110, 0.05)
    released.set()
