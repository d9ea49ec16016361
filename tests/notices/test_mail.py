"""Notices by e-mail through servers that answer nonsense, or hardly at all."""

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pytest_django import Settings

from fetchrules.errors import FetchError
from fetchrules.notices import mail
from fetchrules.notices.messages import Message
from tests.servers.loopback import LoopbackServer, Peer

MESSAGE = Message("Не собирается почта", "- петров", {})


@pytest.fixture(autouse=True)
def by_smtp(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "fetchrules.notices.mail.Backend"
    settings.EMAIL_HOST = "127.0.0.1"


@contextmanager
def mail_server(serve: Callable[[Peer], None], settings: Settings) -> Iterator[LoopbackServer]:
    with LoopbackServer(serve) as server:
        settings.EMAIL_PORT = server.port
        yield server


def refusal() -> str:
    """The error, as text, with which sending ends."""
    with pytest.raises(FetchError) as caught:
        mail.send(MESSAGE, ["postmaster@mydomain.ru"])
    return str(caught.value)


def conversation(*answers: bytes) -> Callable[[Peer], None]:
    """A server that says these things, one after each command."""

    def serve(peer: Peer) -> None:
        for answer in answers:
            peer.send(answer)
            peer.read_line()

    return serve


class Postfix:
    """A server that takes letters."""

    def __init__(self) -> None:
        self.letters: list[str] = []

    def __call__(self, peer: Peer) -> None:
        peer.send(b"220 mail.mydomain.ru\r\n")
        while True:
            match peer.read_line().upper():
                case b"DATA":
                    peer.send(b"354 go on\r\n")
                    lines = list(iter(peer.read_line, b"."))
                    self.letters.append(b"\n".join(lines).decode())
                    peer.send(b"250 taken\r\n")
                case _:
                    peer.send(b"250-mail.mydomain.ru\r\n250 8BITMIME\r\n")


def test_it_sends_a_letter(settings: Settings) -> None:
    postfix = Postfix()
    with mail_server(postfix, settings):
        mail.send(MESSAGE, ["postmaster@mydomain.ru", "anna@mydomain.ru"])
    assert "To: postmaster@mydomain.ru, anna@mydomain.ru" in postfix.letters[0]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b"554 go away\r\n"], "server_refused: 554 go away"),
        ([b"\xff\xfe\xfd\r\n"], "server_refused"),
        ([b"220 \xd0\xbf\xd1\x80\xd0\xb8\r\n", b"250 \xff\r\n", b"550 \xff nobody\r\n"], "server_refused: 550"),
        (
            [b"220 hello\r\n", b"250 hello\r\n", b"250 yes\r\n", b"550 nobody here\r\n"],
            "server_refused: postmaster@mydomain.ru: 550",
        ),
        ([20_000 * b"x"], "connection_lost: a line too long"),
        ([b"\r\n"], "server_refused"),
        ([b"220-\r\n" * 300_000], "timed_out: an endless reply"),
    ],
)
def test_it_tells_how_a_server_refused(answers: list[bytes], error: str, settings: Settings) -> None:
    with mail_server(conversation(*answers), settings):
        assert refusal().startswith(error)


@pytest.mark.parametrize("drip", [b"220-" + 10_000 * b"x", 10_000 * b"220-\r\n"])
def test_it_has_one_deadline_for_a_server_that_drips(
    drip: bytes, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "SECONDS", 0.5)
    with mail_server(lambda peer: peer.drip(drip, 0.01), settings):
        assert refusal().startswith("timed_out")


def test_it_says_so_when_nobody_is_there(settings: Settings) -> None:
    settings.EMAIL_PORT = 1
    assert refusal() == "connect_failed: Connection refused"


@pytest.mark.parametrize("challenge", [b"334 \xff\xff!\r\n", b"334 =\r\n", b"535 petrovpasswd is wrong\r\n"])
def test_it_repeats_no_password(challenge: bytes, settings: Settings) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "petrov", "petrovpasswd"
    answers = [b"220 hello\r\n", b"250-hello\r\n250 AUTH CRAM-MD5 LOGIN\r\n", *9 * [challenge]]
    with mail_server(conversation(*answers), settings):
        said = refusal()
    assert said.partition(":")[0] in {"login_refused", "protocol_error", "server_refused"}
    assert "petrovpasswd" not in said


def test_it_is_what_the_settings_name(settings: Settings) -> None:
    from utm_mail import settings as of_the_project

    assert of_the_project.EMAIL_BACKEND == settings.EMAIL_BACKEND
    assert issubclass(mail.Backend().connection_class, smtplib.SMTP)
