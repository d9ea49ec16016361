"""Headers alone: many commands in flight, and without a mark on the letters."""

from dataclasses import replace

import pytest

from fetchrules.errors import ConnectionLost, FetchError, OverLimit, RemoteProtocolError, ServerTemporary
from fetchrules.remote.mailbox import HEAD_MAX
from tests.remote.imap.sessions import Visit, until_it_breaks, visit
from tests.servers.faults import Cut, Fault, Say
from tests.servers.imap import Behaviour, Step
from tests.servers.imap_scripts import LARGE
from tests.servers.maildrop import letter


def heads(visited: Visit) -> dict[int, bytes | None]:
    told = list(visited.mailbox.heads(visited.letters))
    assert sorted(one.number for one, _ in told) == [one.number for one in visited.letters]
    return {one.number: head for one, head in told}


def head(text: bytes) -> bytes:
    return text[: text.index(b"\r\n\r\n") + 4]


def test_it_brings_headers_and_marks_nothing() -> None:
    with visit() as visited:
        assert heads(visited) == {one.uid: head(one.data) for one in visited.folder.letters}
        assert visited.asked("UID FETCH") == [f"{uid} (UID BODY.PEEK[HEADER])" for uid in range(1, 11)]
        assert not any(one.flags for one in visited.folder.letters)
        assert visited.mailbox.quit()


def test_it_cuts_a_large_header() -> None:
    large = b"Subject: x\r\n" * (HEAD_MAX // 10) + b"\r\n"
    with visit(letters=(large, letter("after"), b"Subject: large\r\n\r\n" + LARGE)) as visited:
        assert heads(visited) == {1: large[:HEAD_MAX], 2: head(letter("after")), 3: b"Subject: large\r\n\r\n"}


def test_it_cuts_what_is_too_large_itself() -> None:
    told = b"* 1 FETCH (UID 1 BODY[HEADER] {%d}\r\n%s)\r\n{tag} OK done\r\n" % (HEAD_MAX + 5, b"x" * (HEAD_MAX + 5))
    with visit(Behaviour(faults=(Fault(Step.FETCH, Say(told)),)), letters=1) as visited:
        assert heads(visited) == {1: b"x" * HEAD_MAX}


UNGIVABLE = {
    "nothing": Behaviour(nothing=frozenset({3})),
    "NO": Behaviour(refuses={3: "NO [SERVERBUG] cannot read it"}),
    "BAD": Behaviour(refuses={3: "BAD Command Error. 10"}),
}


@pytest.mark.parametrize("behaviour", UNGIVABLE.values(), ids=UNGIVABLE)
def test_it_does_without_one_that_cannot_be_had(behaviour: Behaviour) -> None:
    with visit(behaviour) as visited:
        assert [number for number, told in heads(visited).items() if told is None] == [3]


def test_it_does_without_letters_that_have_gone() -> None:
    with visit() as visited:
        letters = visited.letters
        visited.folder.flag(4, "\\Deleted")
        visited.folder.expunge()
        assert [one.number for one, told in visited.mailbox.heads(letters) if told is None] == [4]


def test_it_does_without_headers_where_the_server_gives_none() -> None:
    with visit(Behaviour(faults=(Fault(Step.FETCH, Say(b"{tag} BAD what?\r\n"), nth=0),)), letters=3) as visited:
        assert heads(visited) == {1: None, 2: None, 3: None}
        assert visited.mailbox.quit()


@pytest.mark.parametrize(("words", "error"), [("[LIMIT] later", OverLimit), ("[UNAVAILABLE] later", ServerTemporary)])
@pytest.mark.parametrize("says_bye", [False, True])
def test_it_ends_where_the_server_is_over_its_limits(words: str, error: type[FetchError], *, says_bye: bool) -> None:
    """A header that does not come now is not one that cannot be had."""
    with visit(Behaviour(gives=0, limit_words=words, says_bye=says_bye)) as visited, pytest.raises(error):
        heads(visited)


def test_it_keeps_what_came_before_the_server_hung_up() -> None:
    with visit(Behaviour(breaks=frozenset({6}))) as visited:
        told, error = until_it_breaks(visited.mailbox.heads(visited.letters))
        assert isinstance(error, ConnectionLost)
        assert [letter.number for letter, _ in told] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("action", "error"), [(Cut(), ConnectionLost), (Say(b"what?\r\n"), RemoteProtocolError)], ids=["cut", "nonsense"]
)
def test_it_ends_where_the_session_breaks(action: Cut | Say, error: type[FetchError]) -> None:
    with visit(replace(Behaviour(), faults=(Fault(Step.FETCH, action),))) as visited, pytest.raises(error):
        heads(visited)
