import pytest

from fetchrules.errors import LocalProtocolError
from fetchrules.remote.pop3.protocol import Command, Verb, encode

AUTH_PLAIN = Command(Verb.AUTH, "PLAIN")
CAPA = Command(Verb.CAPA)

ENCODED = [
    (CAPA, b"CAPA\r\n"),
    (AUTH_PLAIN, b"AUTH PLAIN\r\n"),
    (Command(Verb.USER, "petrov"), b"USER petrov\r\n"),
    (Command(Verb.PASS, "two words "), b"PASS two words \r\n"),
    (Command(Verb.PASS, "пароль"), "PASS пароль\r\n".encode()),
    (Command(Verb.RETR, "12"), b"RETR 12\r\n"),
    (Command(Verb.TOP, "12 0"), b"TOP 12 0\r\n"),
    (Command(Verb.CREDENTIALS, "AGEAYg=="), b"AGEAYg==\r\n"),
    (Command(Verb.CREDENTIALS), b"\r\n"),
    (Command(Verb.APOP, "petrov c4c9"), b"APOP petrov c4c9\r\n"),
]


@pytest.mark.parametrize(("command", "octets"), ENCODED)
def test_it_writes_commands(command: Command, octets: bytes) -> None:
    assert encode(command) == octets


@pytest.mark.parametrize("nasty", ["a\rb", "a\nb", "a\r\nDELE 1", "a\0b"])
@pytest.mark.parametrize("verb", [Verb.USER, Verb.PASS, Verb.CREDENTIALS])
def test_it_refuses_arguments_that_would_begin_another_command(verb: Verb, nasty: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode(Command(verb, nasty))


@pytest.mark.parametrize(
    "command",
    [
        Command(Verb.PASS, "s3cret"),
        Command(Verb.CREDENTIALS, "s3cret"),
        Command(Verb.APOP, "two words s3cret"),
        Command(Verb.AUTH, "SCRAM-SHA-256 s3cret"),
    ],
)
def test_it_never_shows_a_secret(command: Command) -> None:
    shown = f"{command} {command!r}"
    assert "s3cret" not in shown
    assert command.argument not in shown


def test_it_shows_the_rest() -> None:
    assert str(Command(Verb.RETR, "7")) == "RETR 7"
    assert str(CAPA) == "CAPA"
    assert str(AUTH_PLAIN) == "AUTH PLAIN"
    assert str(Command(Verb.APOP, "two words s3cret")) == "APOP two words ********"
