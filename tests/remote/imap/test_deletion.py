"""Letters that a server will not flag or expunge: the others go, and each is told of in its order."""

import pytest

from fetchrules.errors import ConnectionLost
from tests.remote.imap.sessions import Visit, until_it_breaks, visit
from tests.servers.faults import Alter, Cut, Fault, Say
from tests.servers.imap import CAPABILITIES, Behaviour, Step

OLD = ("IMAP4rev1",)


def delete(visited: Visit) -> list[int]:
    """The letters whose deletion the server accepts; all were told of, in their order."""
    letters = visited.letters
    told = list(visited.mailbox.delete(letters))
    assert [letter for letter, _ in told] == list(letters)
    return [letter.number for letter, accepted in told if accepted]


@pytest.mark.parametrize("capabilities", [CAPABILITIES, OLD], ids=["UIDPLUS", "no UIDPLUS"])
def test_it_deletes_the_others_where_one_letter_is_refused(capabilities: tuple[str, ...]) -> None:
    with visit(Behaviour(capabilities, keeps=frozenset({3}))) as visited:
        assert delete(visited) == [1, 2, *range(4, 11)]
        assert visited.folder.uids == [3]
        assert visited.mailbox.quit()


@pytest.mark.parametrize("words", [b"NO no", b"BAD Command Error. 10"])
@pytest.mark.parametrize("step", [Step.STORE, Step.UID_EXPUNGE])
def test_it_asks_again_for_fewer(step: Step, words: bytes) -> None:
    refusing = Fault(step, Say(b"{tag} " + words + b"\r\n"))
    with visit(Behaviour(faults=(refusing,))) as visited:
        assert delete(visited) == list(range(1, 11))
        assert visited.folder.uids == []


def test_it_deletes_the_others_where_a_refused_command_has_flagged_them() -> None:
    """Whatever is flagged by then is ours, and no reason to leave all of them."""
    done = Alter(lambda told: told.replace(b"OK done", b"NO one of them could not be flagged"))
    with visit(Behaviour(OLD, faults=(Fault(Step.STORE, done),))) as visited:
        assert delete(visited) == list(range(1, 11))


def test_it_tells_of_those_that_went_before_the_server_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.remote.imap.deletion.UIDS_AT_ONCE", 4)
    with visit(Behaviour(breaks_storing=frozenset({6}))) as visited:
        told, error = until_it_breaks(visited.mailbox.delete(visited.letters))
        assert isinstance(error, ConnectionLost)
        assert [(letter.number, accepted) for letter, accepted in told] == [(n, True) for n in range(1, 5)]
        assert visited.mailbox.together == 4
        assert not visited.mailbox.quit()


def test_it_tells_how_many_were_to_be_expunged_when_the_server_hung_up() -> None:
    with visit(Behaviour(faults=(Fault(Step.UID_EXPUNGE, Cut()),))) as visited:
        with pytest.raises(ConnectionLost):
            delete(visited)
        assert visited.mailbox.together == 10


def test_it_stops_asking_where_every_letter_is_refused() -> None:
    with visit(Behaviour(read_only=True), letters=200) as visited:
        assert delete(visited) == []
        assert len(visited.asked("UID STORE")) < 25
        assert visited.mailbox.quit()


def test_it_asks_once_where_the_server_is_over_its_limits() -> None:
    with visit(Behaviour(faults=(Fault(Step.STORE, Say(b"{tag} NO [LIMIT] later\r\n"), nth=0),))) as visited:
        assert delete(visited) == []
        assert len(visited.asked("UID STORE")) == 1


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("capabilities", [CAPABILITIES, OLD], ids=["UIDPLUS", "no UIDPLUS"])
def test_it_deletes_in_portions_that_the_server_allows(capabilities: tuple[str, ...], *, refuses: bool) -> None:
    with visit(Behaviour(capabilities, message_limit=3, message_limit_refuses=refuses)) as visited:
        assert delete(visited) == list(range(1, 11))
        assert visited.folder.uids == []


def test_it_expunges_nothing_where_the_server_does_not_look_at_all_letters() -> None:
    never = Fault(Step.SEARCH, Say(b"* SEARCH 1 2 3\r\n{tag} OK [MESSAGELIMIT 1000 1] not all\r\n"), nth=0)
    with visit(Behaviour(OLD, faults=(never,)), letters=3) as visited:
        assert delete(visited) == []
        assert len(visited.folder.uids) == 3


@pytest.mark.parametrize("words", [b"NO no", b"BAD no", b"OK [MESSAGELIMIT 1 1] not all"])
def test_it_says_so_when_the_server_does_not_expunge(words: bytes) -> None:
    refusing = Fault(Step.EXPUNGE, Alter(lambda told: told.rpartition(b"OK done")[0] + words + b"\r\n"))
    with visit(Behaviour(OLD, expunges=False, faults=(refusing,))) as visited:
        assert delete(visited) == []


def test_it_believes_a_server_that_says_that_it_has_expunged() -> None:
    with visit(Behaviour(expunges=False)) as visited:
        assert delete(visited) == list(range(1, 11))
        assert len(visited.folder.uids) == 10


def test_it_marks_the_others_as_read_where_one_letter_is_refused() -> None:
    with visit(Behaviour(keeps=frozenset({3}))) as visited:
        visited.mailbox.mark_seen(visited.letters)
        assert [one.uid for one in visited.folder.letters if "\\Seen" not in one.flags] == [3]


def test_it_asks_nothing_for_no_letters() -> None:
    with visit() as visited:
        visited.mailbox.mark_seen([])
        assert list(visited.mailbox.delete([])) == []
        assert visited.asked("UID STORE") == []
