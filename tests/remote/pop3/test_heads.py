"""Headers without their letters."""

import tracemalloc
from collections.abc import Sequence

import pytest

from fetchrules.errors import ConnectionLost, LocalProtocolError
from fetchrules.remote import conversation
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.mailbox import HEAD_MAX, Head
from fetchrules.remote.pop3.session import Pop3Mailbox, open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import (
    DOWNLOAD_EXCEED,
    EVERY_LETTER,
    PASSWORD,
    USER,
    Behaviour,
    Cut,
    Fault,
    LetterFault,
    Pop3Server,
    Say,
    Step,
    Top,
)

LETTERS = [letter(str(number), 2000) for number in range(1, 6)]
HEADERS = [data[: data.index(b"\r\n\r\n") + 4] for data in LETTERS]

WHOLE = {
    b"": b"",
    b"A: b\r\n\r\n": b"A: b\r\n\r\n",
    b"A: b\r\n\r\nbody\r\n\r\n": b"A: b\r\n\r\n",
    b"A: b\r\n": b"A: b\r\n",
    b"A: b\n\nbody\n\n": b"A: b\n\n",
    b"A: b\n\r\nbody": b"A: b\n\r\n",
    b"\r\nbody\r\n\r\n": b"\r\n",
    b"\nbody\n\n": b"\n",
    b"x" * HEAD_MAX + b"\r\n\r\n": b"x" * HEAD_MAX,
    b"x" * (HEAD_MAX - 2) + b"\r\n\r\nbody": b"x" * (HEAD_MAX - 2) + b"\r\n",
}


@pytest.mark.parametrize("size", [1, 2, 3, HEAD_MAX * 2])
@pytest.mark.parametrize(("came", "kept"), WHOLE.items(), ids=[repr(came[:20]) for came in WHOLE])
def test_it_keeps_a_header_and_no_more_however_it_comes(came: bytes, kept: bytes, size: int) -> None:
    head = Head()
    for start in range(0, len(came), size):
        head.feed(came[start : start + size])
    assert head.octets() == kept


def test_it_holds_little_of_a_header_without_end() -> None:
    head, block = Head(), b"X: y\r\n" * 10_000
    tracemalloc.start()
    try:
        for _ in range(1000):
            head.feed(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(head.octets()) == HEAD_MAX
    assert peak < 4 * HEAD_MAX


def serving(behaviour: Behaviour, letters: Sequence[bytes] = LETTERS) -> Pop3Server:
    return Pop3Server(Maildrop(letters), behaviour)


def opened(server: Pop3Server) -> Pop3Mailbox:
    deadlines = Deadlines(connect=10, idle=10, session=20)
    return open_pop3(
        Account(
            Protocol.POP3,
            server.host,
            server.port,
            USER,
            PASSWORD,
            encryption=Encryption.PLAINTEXT,
            deadlines=deadlines,
        )
    )


def heads(server: Pop3Server) -> list[bytes | None]:
    """Those of all letters, in a session of its own."""
    mailbox = opened(server)
    letters = mailbox.listing().letters
    told = list(mailbox.heads(letters))
    assert [one for one, _ in told] == list(letters)
    assert mailbox.quit()
    return [head for _, head in told]


def asked(server: Pop3Server) -> list[str]:
    return [line for line in server.said if line.startswith("TOP")]


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(),
        Behaviour().without("PIPELINING"),
        Behaviour(capabilities=None),
        Behaviour(capabilities=()),
        Behaviour(top=Top.WHOLE),
        Behaviour(top=Top.WHOLE, slice=3),
    ],
    ids=["pipelined", "one at a time", "no CAPA", "an empty CAPA", "the whole letter", "the whole letter in pieces"],
)
def test_it_gives_the_header_of_each_letter(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        assert heads(server) == HEADERS
        assert asked(server) == [f"TOP {number} 0" for number in range(1, 6)]


def test_it_gives_the_headers_of_letters_that_are_not_stuffed_and_not_split_from_a_body() -> None:
    letters = [b".\r\n..\r\n\r\nbody\r\n", b"", b"A: b\r\n", b"\r\nbody\r\n"]
    with serving(Behaviour(top=Top.WHOLE), letters) as server:
        assert heads(server) == [b".\r\n..\r\n\r\n", b"", b"A: b\r\n", b"\r\n"]


def test_it_asks_for_many_headers_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "WINDOW", 8)
    with serving(Behaviour(), [letter(str(number)) for number in range(50)]) as server:
        assert None not in heads(server)


def test_it_does_not_ask_a_server_that_announces_no_top() -> None:
    with serving(Behaviour().without("TOP")) as server:
        assert heads(server) == [None] * 5
        assert asked(server) == []


def test_it_asks_a_server_that_announces_nothing_once() -> None:
    with serving(Behaviour(capabilities=None, top=Top.UNKNOWN)) as server:
        assert heads(server) == [None] * 5
        assert len(asked(server)) == 1


def test_it_asks_a_server_that_announced_it_wrongly_twice() -> None:
    with serving(Behaviour(top=Top.UNKNOWN)) as server:
        assert heads(server) == [None] * 5
        assert len(asked(server)) == 2


def test_it_asks_no_more_in_the_same_session() -> None:
    with serving(Behaviour(top=Top.UNKNOWN)) as server:
        mailbox = opened(server)
        for _ in range(3):
            list(mailbox.heads(mailbox.listing().letters))
        assert len(asked(server)) == 2


@pytest.mark.parametrize("refused", [1, 2, 5])
def test_it_goes_on_behind_a_letter_whose_header_is_refused(refused: int) -> None:
    fault = LetterFault(Step.TOP, f"uid-{refused}", Say(b"-ERR\r\n"))
    with serving(Behaviour(letter_faults=(fault,))) as server:
        expected: list[bytes | None] = [*HEADERS]
        expected[refused - 1] = None
        assert heads(server) == expected


@pytest.mark.parametrize("nth", [1, 3])
def test_it_asks_no_more_where_the_server_is_over_its_limit(nth: int) -> None:
    fault = Fault(Step.TOP, Say(DOWNLOAD_EXCEED), nth)
    with serving(Behaviour(faults=(fault,)).without("PIPELINING")) as server:
        assert heads(server) == [*HEADERS[: nth - 1], *[None] * (6 - nth)]
        assert len(asked(server)) == nth


def test_it_tells_of_each_letter_although_the_limit_comes_among_many_that_were_asked_for() -> None:
    fault = Fault(Step.TOP, Say(DOWNLOAD_EXCEED), 3)
    with serving(Behaviour(faults=(fault,))) as server:
        assert heads(server) == [*HEADERS[:2], None, *HEADERS[3:]]


def test_it_raises_where_the_session_breaks() -> None:
    with serving(Behaviour(letter_faults=(LetterFault(Step.TOP, "uid-3", Cut()),))) as server:
        mailbox = opened(server)
        told = mailbox.heads(mailbox.listing().letters)
        assert [next(told)[1], next(told)[1]] == HEADERS[:2]
        with pytest.raises(ConnectionLost):
            next(told)
        assert not mailbox.quit()


def test_it_closes_a_session_whose_headers_were_left_midway() -> None:
    with serving(Behaviour()) as server:
        mailbox = opened(server)
        told = mailbox.heads(mailbox.listing().letters)
        next(told)
        told.close()  # type: ignore[attr-defined]
        assert not mailbox.quit()


def test_it_gives_no_headers_during_a_retrieval() -> None:
    with serving(Behaviour()) as server:
        mailbox = opened(server)
        letters = mailbox.listing().letters
        next(mailbox.retrieve(letters))
        with pytest.raises(LocalProtocolError):
            next(mailbox.heads(letters))


def test_it_gives_no_headers_of_no_letters() -> None:
    with serving(Behaviour(letter_faults=(LetterFault(Step.TOP, EVERY_LETTER, Cut()),))) as server:
        mailbox = opened(server)
        assert list(mailbox.heads([])) == []
        assert mailbox.quit()
