"""Letters that cannot be had, servers that give no more: the others come, and nobody is asked more often than needed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerTemporary,
    TimedOut,
)
from fetchrules.remote.account import Deadlines
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved
from tests.remote.imap.sessions import DEADLINES, Visit, until_it_breaks, visit
from tests.servers.faults import Action, Alter, Cut, Fault, Say, Stall
from tests.servers.imap import CAPABILITIES, PASSWORD, Behaviour, Step
from tests.servers.imap_scripts import LARGE
from tests.servers.maildrop import letter

LIMITS: list[tuple[str, type[FetchError]]] = [
    ("[OVERQUOTA] Account exceeded command or bandwidth limits.", OverLimit),
    ("[LIMIT] FETCH rate limit hit", OverLimit),
    ("[THROTTLED] later", OverLimit),
    ("[UNAVAILABLE] internal error", ServerTemporary),
    ("[INUSE] Timeout while waiting for lock", MailboxBusy),
    ("[ALERT] Account exceeded command or bandwidth limits. (Failure)", OverLimit),
    ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", OverLimit),
]


def complete(events: Iterable[Retrieved]) -> list[int]:
    return [event.letter.number for event in events if isinstance(event, Complete)]


def refused(events: Iterable[Retrieved]) -> list[int]:
    return [event.letter.number for event in events if isinstance(event, Refused)]


def limited(events: Iterable[Retrieved]) -> list[int]:
    return [event.letter.number for event in events if isinstance(event, Refused) and event.limited]


def broken(visited: Visit, kind: type[FetchError]) -> list[Retrieved]:
    """What came before the session ended with just this error."""
    events, error = until_it_breaks(visited.mailbox.retrieve(visited.letters))
    assert type(error) is kind
    return events


UNGIVABLE = {
    "nothing": Behaviour(nothing=frozenset({3})),
    "NO": Behaviour(refuses={3: "NO [SERVERBUG] cannot read it"}),
    "BAD": Behaviour(refuses={3: "BAD Command Error. 10"}),
}


@pytest.mark.parametrize("behaviour", UNGIVABLE.values(), ids=UNGIVABLE)
def test_it_brings_the_other_letters_of_a_command(behaviour: Behaviour) -> None:
    with visit(behaviour, letters=12) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), refused(events)) == ([1, 2, *range(4, 13)], [3])
        assert visited.mailbox.quit()
        assert len(visited.asked("UID FETCH")) < 12


@pytest.mark.parametrize("behaviour", UNGIVABLE.values(), ids=UNGIVABLE)
def test_it_tells_of_letters_in_their_order(behaviour: Behaviour) -> None:
    with visit(behaviour) as visited:
        ends = [one for one in visited.mailbox.retrieve(visited.letters) if isinstance(one, Complete | Refused)]
        assert [one.letter for one in ends] == list(visited.letters)


def test_it_asks_once_for_a_letter_that_comes() -> None:
    with visit(UNGIVABLE["nothing"], letters=12) as visited:
        list(visited.mailbox.retrieve(visited.letters))
        assert visited.numbers("UID FETCH") == ["1:12", "3", "3"]
        assert visited.asked("UID FETCH")[-1] == "3 (UID)"


def test_it_says_why_a_letter_was_refused() -> None:
    for behaviour, reason in [(UNGIVABLE["nothing"], "not an answer to FETCH"), (UNGIVABLE["NO"], "cannot read it")]:
        with visit(behaviour) as visited:
            (event,) = [one for one in visited.mailbox.retrieve(visited.letters) if isinstance(one, Refused)]
            assert reason in event.reason
            assert not event.limited


def test_it_masks_the_password_in_a_reason() -> None:
    with visit(Behaviour(refuses={1: f"NO {PASSWORD}"}), letters=1) as visited:
        (event,) = visited.mailbox.retrieve(visited.letters)
        assert isinstance(event, Refused)
        assert PASSWORD not in event.reason


def test_it_asks_again_for_the_last_where_all_came_and_the_answer_is_no() -> None:
    no = Alter(lambda told: told.replace(b"OK done", b"NO some messages could not be fetched"))
    with visit(Behaviour(faults=(Fault(Step.FETCH, no),))) as visited:
        assert complete(visited.mailbox.retrieve(visited.letters)) == list(range(1, 11))
        assert visited.numbers("UID FETCH") == ["1:10", "10"]


def test_it_finds_two_letters_that_cannot_be_had() -> None:
    both = {4: "NO no", 9: "NO no"}
    with visit(Behaviour(refuses=both), letters=16) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert refused(events) == [4, 9]
        assert len(complete(events)) == 14


def test_it_asks_by_one_command_where_letters_have_gone() -> None:
    with visit() as visited:
        letters = visited.letters
        for uid in (2, 3, 7):
            visited.folder.flag(uid, "\\Deleted")
        visited.folder.expunge()
        events = list(visited.mailbox.retrieve(letters))
        assert [event.letter.number for event in events if isinstance(event, Gone)] == [2, 3, 7]
        assert len(complete(events)) == 7
        assert visited.numbers("UID FETCH") == ["1:10", "2:3", "7"]


def test_it_keeps_what_came_whole_before_the_server_hung_up() -> None:
    with visit(Behaviour(breaks=frozenset({6})), letters=12) as visited:
        events = broken(visited, ConnectionLost)
        assert complete(events) == [1, 2, 3, 4, 5]
        assert visited.mailbox.together == 7


def test_it_keeps_what_came_whole_before_a_silence() -> None:
    stall = Stall(done=True, octets=450)
    hasty = Deadlines(connect=10, idle=0.3, session=5)
    with visit(Behaviour(faults=(Fault(Step.FETCH, stall),)), deadlines=hasty) as visited:
        events = broken(visited, TimedOut)
        assert complete(events) == [1, 2]
        assert visited.mailbox.together == 8


def test_it_tells_the_suspects_of_a_smaller_command() -> None:
    """The first letter is said to be refused, then the server hangs up on what is asked again."""
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Cut(), nth=2))
    with visit(Behaviour(faults=faults)) as visited:
        assert broken(visited, ConnectionLost) == []
        assert visited.mailbox.together == 5


def test_it_trusts_nothing_that_came_before_nonsense() -> None:
    nonsense = Alter(lambda told: told[:400].rsplit(b"* ", 1)[0] + b"what?\r\n")
    with visit(Behaviour(faults=(Fault(Step.FETCH, nonsense),))) as visited:
        assert broken(visited, RemoteProtocolError) == []
        assert visited.mailbox.together == 10


@pytest.mark.parametrize("at_once", [1, 3])
def test_it_takes_no_letter_while_the_ones_before_it_are_unanswered(at_once: int) -> None:
    taken: list[int] = []
    with visit(letters=7) as visited:

        def handed_out() -> Iterator[Listed]:
            for one in visited.letters:
                taken.append(one.number)
                yield one

        for event in visited.mailbox.retrieve(handed_out(), at_once):
            if isinstance(event, Complete):
                assert taken[-1] <= -(-event.letter.number // at_once) * at_once
        assert visited.numbers("UID FETCH") == {1: list("1234567"), 3: ["1:3", "4:6", "7"]}[at_once]


@pytest.mark.parametrize("action", [Cut(), Say(b"* BYE bye\r\n", hang_up=True)])
@pytest.mark.parametrize("at_once", [1, 4])
def test_it_says_how_many_letters_the_last_command_named(at_once: int, action: Action) -> None:
    with visit(Behaviour(faults=(Fault(Step.FETCH, action, nth=2),))) as visited:
        with pytest.raises(ConnectionLost):
            list(visited.mailbox.retrieve(visited.letters, at_once))
        assert visited.mailbox.together == at_once


@pytest.mark.parametrize(("words", "error"), LIMITS, ids=[words for words, _ in LIMITS])
def test_it_asks_no_more_of_a_server_over_its_limits(words: str, error: type[FetchError]) -> None:
    with visit(Behaviour(gives=3, limit_words=words)) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), limited(events)) == ([1, 2, 3], list(range(4, 11)))
        assert all(words[:20] in one.reason for one in events if isinstance(one, Refused))
        assert visited.numbers("UID FETCH") == ["1:10"]
        assert visited.mailbox.together == 10
        assert [one.number for one, accepted in visited.mailbox.delete(visited.letters[:3]) if accepted] == [1, 2, 3]
        assert visited.mailbox.quit()


def test_it_refuses_what_is_handed_out_after_a_limit() -> None:
    with visit(Behaviour(gives=3)) as visited:
        events = list(visited.mailbox.retrieve(visited.letters, 2))
        assert (complete(events), limited(events)) == ([1, 2, 3], list(range(4, 11)))
        assert visited.numbers("UID FETCH") == ["1:2", "3:4"]


@pytest.mark.parametrize(("words", "error"), LIMITS, ids=[words for words, _ in LIMITS])
def test_it_blames_no_letter_where_the_server_says_goodbye_over_its_limits(words: str, error: type[FetchError]) -> None:
    with visit(Behaviour(gives=3, limit_words=words, says_bye=True)) as visited:
        events = broken(visited, error)
        assert (complete(events), limited(events)) == ([1, 2, 3], list(range(4, 11)))


def test_it_asks_for_no_second_half_where_the_first_meets_a_limit() -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Say(b"{tag} NO [LIMIT] no\r\n"), nth=2))
    with visit(Behaviour(faults=faults)) as visited:
        assert limited(visited.mailbox.retrieve(visited.letters)) == list(range(1, 11))
        assert visited.numbers("UID FETCH") == ["1:10", "1:5"]


def test_it_blames_no_letter_where_the_limit_comes_when_it_looks_for_it() -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Say(b"{tag} NO [LIMIT] no\r\n"), nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        assert limited(visited.mailbox.retrieve(visited.letters)) == [1]


def test_it_blames_a_letter_where_the_server_hangs_up_when_it_looks_for_it() -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Cut(), nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        assert broken(visited, ConnectionLost) == []
        assert visited.mailbox.together == 1


LIMIT, NO = Say(b"{tag} NO [LIMIT] later\r\n"), Say(b"{tag} NO [SERVERBUG] no\r\n")
BYE = Say(b"* BYE [LIMIT] later\r\n", hang_up=True)
NONSENSE = Say(b"* 1 FETCH (UID 1 BODY[]<1048575> )\r\n{tag} OK done\r\n")


@pytest.mark.parametrize(("action", "is_limit"), [(LIMIT, True), (NO, False), (NONSENSE, False)])
@pytest.mark.parametrize("nth", [1, 2])
def test_it_refuses_a_large_letter(nth: int, action: Action, *, is_limit: bool) -> None:
    with visit(Behaviour(faults=(Fault(Step.FETCH, action, nth=nth),)), letters=(LARGE, letter("after"))) as visited:
        events = [one for one in visited.mailbox.retrieve(visited.letters) if not isinstance(one, Chunk)]
        begun: list[Retrieved] = [Begun(visited.letters[0])] if nth == 2 else []
        assert events[: len(begun)] == begun
        assert refused(events) == ([1, 2] if is_limit else [1])
        assert limited(events) == ([1, 2] if is_limit else [])


@pytest.mark.parametrize("nth", [1, 2])
def test_it_hears_a_goodbye_within_a_large_letter(nth: int) -> None:
    with visit(Behaviour(faults=(Fault(Step.FETCH, BYE, nth=nth),)), letters=(LARGE, letter("after"))) as visited:
        assert limited(broken(visited, OverLimit)) == [1, 2]


def test_it_doubts_a_large_letter_that_is_said_to_have_no_more() -> None:
    nothing = Say(b"{tag} OK done\r\n")
    with visit(Behaviour(faults=(Fault(Step.FETCH, nothing, nth=2),)), letters=(LARGE, letter("after"))) as visited:
        ends = [one for one in visited.mailbox.retrieve(visited.letters) if isinstance(one, Complete)]
        assert ends == [Complete(visited.letters[0], doubtful=True), Complete(visited.letters[1])]
        assert visited.mailbox.quit()


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_it_names_no_more_letters_than_the_server_allows(*, announced: bool, refuses: bool) -> None:
    behaviour = Behaviour(message_limit=3, message_limit_refuses=refuses)
    if announced:
        behaviour = replace(behaviour, capabilities=(*CAPABILITIES, "MESSAGELIMIT=3"))
    with visit(behaviour) as visited:
        assert complete(visited.mailbox.retrieve(visited.letters, 4)) == list(range(1, 11))
        asked = visited.numbers("UID FETCH")
        assert asked[-1] in ("8:10", "10")
        assert announced == (asked == ["1:3", "4:6", "7:9", "10"])


@pytest.mark.parametrize("told", ["MESSAGELIMIT=0", "MESSAGELIMIT=many", "MESSAGELIMIT=", "MESSAGELIMIT"])
def test_it_takes_an_odd_limit_for_none(told: str) -> None:
    with visit(Behaviour(capabilities=(*CAPABILITIES, told))) as visited:
        assert len(complete(visited.mailbox.retrieve(visited.letters))) == 10
        assert visited.numbers("UID FETCH") == ["1:10"]


def test_it_waits_no_longer_for_letters_than_for_any_answer() -> None:
    hasty = replace(DEADLINES, idle=0.2, session=5)
    with visit(Behaviour(faults=(Fault(Step.FETCH, Stall()),)), deadlines=hasty) as visited:
        assert broken(visited, TimedOut) == []
