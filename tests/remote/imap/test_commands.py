import pytest

from fetchrules.errors import LocalProtocolError
from fetchrules.remote.imap.protocol import Command, ImapProtocol, Text, Verb, quoted, require_line

ENCODED: list[tuple[Command, bytes]] = [
    (Command(Verb.CAPABILITY), b"A1 CAPABILITY\r\n"),
    (Command(Verb.AUTHENTICATE, ("PLAIN",)), b"A1 AUTHENTICATE PLAIN\r\n"),
    (Command(Verb.LOGIN, (Text("petrov"), Text("two words "))), b'A1 LOGIN "petrov" "two words "\r\n'),
    (Command(Verb.LOGIN, (Text('quo"te'), Text("back\\slash"))), b'A1 LOGIN "quo\\"te" "back\\\\slash"\r\n'),
    (Command(Verb.LOGIN, (Text(""), Text(""))), b'A1 LOGIN "" ""\r\n'),
    (Command(Verb.LOGIN, (Text("{5}"), Text("(*%"))), b'A1 LOGIN "{5}" "(*%"\r\n'),
    (Command(Verb.ID, ('("name" "utm-mail")',)), b'A1 ID ("name" "utm-mail")\r\n'),
]


def opened() -> ImapProtocol:
    protocol = ImapProtocol()
    list(protocol.receive(b"* OK ready\r\n"))
    return protocol


@pytest.mark.parametrize(("command", "octets"), ENCODED)
def test_it_writes_commands(command: Command, octets: bytes) -> None:
    assert opened().send([command]) == octets


def test_it_numbers_commands() -> None:
    protocol = opened()
    protocol.pipelining = True
    assert protocol.send([Command(Verb.CAPABILITY), Command(Verb.ID, ("NIL",))]) == b"A1 CAPABILITY\r\nA2 ID NIL\r\n"


@pytest.mark.parametrize("nasty", ["a\rb", "a\nb", "a\r\nA9 LOGOUT", "a\0b"])
def test_it_refuses_arguments_that_would_begin_another_command(nasty: str) -> None:
    for command in [
        Command(Verb.LOGIN, (Text(nasty), Text("x"))),
        Command(Verb.LOGIN, (Text("x"), Text(nasty))),
        Command(Verb.LOGIN, (nasty,)),
    ]:
        with pytest.raises(LocalProtocolError):
            opened().send([command])
    with pytest.raises(LocalProtocolError):
        require_line(nasty)


def test_it_refuses_them_in_a_literal_too() -> None:
    protocol = opened()
    protocol.literal_plus = True
    with pytest.raises(LocalProtocolError):
        protocol.send([Command(Verb.LOGIN, (Text("пётр\r\nA2 LOGOUT"), Text("x")))])


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), ('a"', 'a\\"'), ("\\", "\\\\"), ('\\"', '\\\\\\"'), ("", "")]
)
def test_it_quotes(value: str, expected: str) -> None:
    assert quoted(value) == expected


@pytest.mark.parametrize(
    "command",
    [
        Command(Verb.LOGIN, (Text("petrov"), Text("s3cret"))),
        Command(Verb.AUTHENTICATE, ("PLAIN", "s3cret")),
    ],
)
def test_it_never_shows_a_secret(command: Command) -> None:
    assert "s3cret" not in f"{command} {command!r}"


def test_it_shows_the_rest() -> None:
    assert str(Command(Verb.UID_FETCH, ("7", "(UID BODY.PEEK[])"))) == "UID FETCH 7 (UID BODY.PEEK[])"
    assert str(Command(Verb.SELECT, (Text("INBOX"),))) == "SELECT INBOX"
    assert str(Command(Verb.LOGIN, (Text("petrov"), Text("s3cret")))) == "LOGIN petrov ********"
    assert str(Command(Verb.CAPABILITY)) == "CAPABILITY"
