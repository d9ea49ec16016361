"""Letters that cannot be had, servers that give no more: the others come, and nobody is asked more often than needed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from fetchrules.errors import (
    ConnectionLost,
    FetchError,
    LocalProtocolError,
    MailboxBusy,
    OverLimit,
    RemoteProtocolError,
    ServerTemporary,
    TimedOut,
)
from fetchrules.remote.account import Deadlines
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved
from tests.remote.imap.sessions import DEADLINES, Visit, until_it_breaks, visit
from tests.servers.faults import Alter, Cut, Fault, Say, Stall
from tests.servers.imap import PASSWORD, Behaviour, Step

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
def test_it_brings_the_other_letters(behaviour: Behaviour) -> None:
    with visit(behaviour, letters=12) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (sorted(complete(events)), refused(events)) == ([1, 2, *range(4, 13)], [3])
        assert visited.mailbox.quit()


def test_it_asks_once_for_a_letter_that_comes() -> None:
    with visit(UNGIVABLE["nothing"], letters=4) as visited:
        list(visited.mailbox.retrieve(visited.letters))
        assert visited.asked("UID FETCH")[4:] == ["3 (UID)", "3 (UID BODY.PEEK[])"]


def test_it_says_why_a_letter_was_refused() -> None:
    for behaviour, reason in [(UNGIVABLE["nothing"], ""), (UNGIVABLE["NO"], "cannot read it")]:
        with visit(behaviour) as visited:
            (event,) = [one for one in visited.mailbox.retrieve(visited.letters) if isinstance(one, Refused)]
            assert reason in event.reason
            assert not event.limited


def test_it_masks_the_password_in_a_reason() -> None:
    with visit(Behaviour(refuses={1: f"NO {PASSWORD}"}), letters=1) as visited:
        (event,) = visited.mailbox.retrieve(visited.letters)
        assert isinstance(event, Refused)
        assert PASSWORD not in event.reason


def test_it_takes_no_letter_to_which_the_server_says_no_in_the_end() -> None:
    no = Alter(lambda told: told.replace(b"OK done", b"NO some messages could not be fetched"))
    with visit(Behaviour(faults=(Fault(Step.FETCH, no),)), letters=3) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), refused(events)) == ([2, 3], [1])


def test_it_tells_letters_that_have_gone() -> None:
    with visit() as visited:
        letters = visited.letters
        for uid in (2, 3, 7):
            visited.folder.flag(uid, "\\Deleted")
        visited.folder.expunge()
        events = list(visited.mailbox.retrieve(letters))
        assert [event.letter.number for event in events if isinstance(event, Gone)] == [2, 3, 7]
        assert len(complete(events)) == 7


@pytest.mark.parametrize(
    "words", [b"NO [EXPUNGEISSUED] gone", b"NO Some of the requested messages no longer exist", b"BAD no such message"]
)
def test_it_tells_a_letter_that_has_gone_from_one_that_is_refused(words: bytes) -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} " + words + b"\r\n")), Fault(Step.FETCH, Say(b"{tag} OK done\r\n"), nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        (event,) = visited.mailbox.retrieve(visited.letters)
        assert isinstance(event, Gone)


GONE = b"{tag} NO Some of the requested messages no longer exist.\r\n"


def test_it_finds_out_that_a_letter_has_gone_where_the_server_refuses_even_to_tell_of_it() -> None:
    """Scalix. The text is not what it is decided by: the search finds nothing."""
    faults = (Fault(Step.FETCH, Say(GONE), nth=0), Fault(Step.SEARCH, Say(b"* SEARCH\r\n{tag} OK done\r\n")))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        (event,) = visited.mailbox.retrieve(visited.letters)
        assert isinstance(event, Gone)
        assert visited.asked("UID SEARCH") == ["UID 1"]


@pytest.mark.parametrize(
    "search",
    [b"* SEARCH 1\r\n{tag} OK done\r\n", b"{tag} OK done\r\n", b"{tag} NO no\r\n", b"* SEARCH\r\n{tag} BAD no\r\n"],
    ids=["found", "nothing told", "refused", "refused all the same"],
)
def test_it_takes_no_refused_letter_for_one_that_has_gone(search: bytes) -> None:
    faults = (Fault(Step.FETCH, Say(GONE), nth=0), Fault(Step.SEARCH, Say(search)))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        (event,) = visited.mailbox.retrieve(visited.letters)
        assert isinstance(event, Refused)
        assert "no longer exist" in event.reason


def test_it_asks_again_alone_where_commands_in_flight_confuse_the_server() -> None:
    bad = Say(b"{tag} BAD too many commands\r\n")
    with visit(Behaviour(faults=tuple(Fault(Step.FETCH, bad, nth=n) for n in range(2, 11)))) as visited:
        assert sorted(complete(visited.mailbox.retrieve(visited.letters))) == list(range(1, 11))


def test_it_keeps_what_came_whole_before_the_server_hung_up() -> None:
    with visit(Behaviour(breaks=frozenset({6})), letters=12) as visited:
        assert complete(broken(visited, ConnectionLost)) == [1, 2, 3, 4, 5]


def test_it_keeps_what_came_whole_before_a_silence() -> None:
    hasty = Deadlines(connect=10, idle=0.3, session=5)
    stalls = (Fault(Step.FETCH, Stall(), nth=3),)
    with visit(Behaviour(faults=stalls), deadlines=hasty) as visited:
        assert complete(broken(visited, TimedOut)) == [1, 2]


def test_it_completes_no_letter_before_its_answer_ends() -> None:
    nonsense = Alter(lambda told: told.rsplit(b"A", 1)[0] + b"what?\r\n")
    with visit(Behaviour(faults=(Fault(Step.FETCH, nonsense, nth=2),))) as visited:
        assert complete(broken(visited, RemoteProtocolError)) == [1]


def test_it_asks_for_no_more_octets_than_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.remote.imap.retrieval.OCTETS_AHEAD", 600)
    taken: list[int] = []
    with visit(letters=7) as visited:

        def handed_out() -> Iterator[Listed]:
            for one in visited.letters:
                taken.append(one.number)
                yield one

        for event in visited.mailbox.retrieve(handed_out()):
            if isinstance(event, Complete):
                assert taken[-1] <= event.letter.number + 4


@pytest.mark.parametrize(("words", "error"), LIMITS, ids=[words for words, _ in LIMITS])
def test_it_asks_no_more_of_a_server_over_its_limits(words: str, error: type[FetchError]) -> None:
    with visit(Behaviour(gives=3, limit_words=words), letters=400) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), limited(events)) == ([1, 2, 3], list(range(4, 401)))
        assert all(words[:20] in one.reason for one in events if isinstance(one, Refused))
        assert len(visited.asked("UID FETCH")) < 400
        assert [one.number for one, accepted in visited.mailbox.delete(visited.letters[:3]) if accepted] == [1, 2, 3]
        assert visited.mailbox.quit()


@pytest.mark.parametrize(("words", "error"), LIMITS, ids=[words for words, _ in LIMITS])
def test_it_blames_no_letter_where_the_server_says_goodbye_over_its_limits(words: str, error: type[FetchError]) -> None:
    with visit(Behaviour(gives=3, limit_words=words, says_bye=True)) as visited:
        events = broken(visited, error)
        assert (complete(events), limited(events)) == ([1, 2, 3], list(range(4, 11)))


def test_it_blames_no_letter_where_the_limit_comes_when_it_looks_for_it() -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Say(b"{tag} NO [LIMIT] no\r\n"), nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        assert limited(visited.mailbox.retrieve(visited.letters)) == [1]


def test_it_blames_no_letter_where_the_server_says_goodbye_over_its_limits_when_it_looks_for_it() -> None:
    bye = Say(b"* BYE [UNAVAILABLE] later\r\n", hang_up=True)
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, bye, nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        assert limited(broken(visited, ServerTemporary)) == [1]


def test_it_blames_a_letter_where_the_server_hangs_up_when_it_looks_for_it() -> None:
    faults = (Fault(Step.FETCH, Say(b"{tag} NO no\r\n")), Fault(Step.FETCH, Cut(), nth=2))
    with visit(Behaviour(faults=faults), letters=1) as visited:
        assert broken(visited, ConnectionLost) == []


def test_it_takes_no_letter_for_another() -> None:
    told = b"* 1 FETCH (BODY[] {3}\r\nabc UID 2)\r\n{tag} OK done\r\n"
    with visit(Behaviour(faults=(Fault(Step.FETCH, Say(told), nth=0),)), letters=1) as visited:
        events = [one for one in visited.mailbox.retrieve(visited.letters) if isinstance(one, Complete | Refused)]
        assert [type(one) for one in events] == [Refused]


@pytest.mark.parametrize("words", ["NO [LIMIT] no more", "NO one of them could not be fetched", "BAD what?"])
def test_it_keeps_a_letter_that_came_whole_before_another_although_its_command_is_refused(words: str) -> None:
    both = Say(b"* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\n* 2 FETCH (UID 2 BODY[] {3}\r\ntwo)\r\n")
    ends = Say(f"A4 {words}\r\n{{tag}} OK done\r\n".encode())
    faults = (Fault(Step.FETCH, both), Fault(Step.FETCH, ends, nth=2))
    with visit(Behaviour(faults=faults), letters=2) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), refused(events)) == ([1, 2], [])
        assert b"".join(one.data for one in events if isinstance(one, Chunk)) == b"onetwo"


def test_it_brings_letters_whose_answers_name_no_uid_one_by_one() -> None:
    unnamed = Alter(lambda told: re.sub(rb"UID [0-9]+ ", b"", told))
    with visit(Behaviour(faults=(Fault(Step.FETCH, unnamed, nth=0),)), letters=3) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (sorted(complete(events)), refused(events)) == ([1, 2, 3], [])


def test_it_asks_for_nothing_else_meanwhile() -> None:
    with visit() as visited:
        events = visited.mailbox.retrieve(visited.letters)
        next(events)
        for other in (visited.mailbox.heads(visited.letters), visited.mailbox.retrieve(visited.letters)):
            with pytest.raises(LocalProtocolError):
                next(other)
        with pytest.raises(LocalProtocolError):
            visited.mailbox.listing()
        assert not visited.mailbox.quit()


def test_it_drops_letters_that_nobody_asked_for() -> None:
    strange = Alter(lambda told: b"* 9 FETCH (UID 99 BODY[] {9}\r\nnot yours)\r\n" + told)
    with visit(Behaviour(faults=(Fault(Step.FETCH, strange, nth=0),))) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert complete(events) == list(range(1, 11))
        assert not any(b"not yours" in one.data for one in events if isinstance(one, Chunk))


def test_it_waits_no_longer_for_letters_than_for_any_answer() -> None:
    hasty = replace(DEADLINES, idle=0.2, session=5)
    with visit(Behaviour(faults=(Fault(Step.FETCH, Stall()),)), deadlines=hasty) as visited:
        assert broken(visited, TimedOut) == []


@pytest.mark.parametrize("header", [b"{10}\r\nsubject: x", b'"subject: x"'], ids=["literal", "quoted"])
def test_it_takes_no_late_header_for_the_letter(header: bytes) -> None:
    late = b"* 1 FETCH (UID 1 BODY[HEADER] %s)\r\n" % header
    with visit(Behaviour(faults=(Fault(Step.FETCH, Alter(lambda answer: late + answer)),)), letters=2) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        for one in visited.folder.letters:
            chunks = [event.data for event in events if isinstance(event, Chunk) and event.letter.number == one.uid]
            assert b"".join(chunks) == one.data
        assert complete(events) == [1, 2]


def test_it_refuses_no_letter_that_has_come_where_the_server_says_goodbye_over_its_limits() -> None:
    def sent(uid: int) -> bytes:
        return b"* %d FETCH (UID %d BODY[] {1}\r\nx)\r\n" % (uid, uid)

    said = sent(1) + sent(2) + b"* BYE [UNAVAILABLE] later\r\n"
    with visit(Behaviour(faults=(Fault(Step.FETCH, Say(said, hang_up=True)),)), letters=4) as visited:
        events = broken(visited, ServerTemporary)
        assert (complete(events), limited(events)) == ([1], [2, 3, 4])


def test_it_blames_no_letter_that_came_before_the_server_was_over_its_limits() -> None:
    said = b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n{tag} NO [LIMIT] later\r\n"
    with visit(Behaviour(faults=(Fault(Step.FETCH, Say(said)),)), letters=1) as visited:
        events = list(visited.mailbox.retrieve(visited.letters))
        assert (complete(events), limited(events)) == ([], [1])


def test_it_ends_a_letter_before_it_tells_that_the_server_gives_no_more() -> None:
    held: list[bytes] = []

    def hold_the_end_back(answer: bytes) -> bytes:
        letter, end = answer[: answer.rindex(b")\r\n") + 3], answer[answer.rindex(b")\r\n") + 3 :]
        held.append(end)
        return letter

    def refuse(answer: bytes) -> bytes:
        tag = answer.splitlines()[-1].split()[0]
        return tag + b" NO [LIMIT] later\r\n" + held.pop()

    faults = (Fault(Step.FETCH, Alter(hold_the_end_back)), Fault(Step.FETCH, Alter(refuse), nth=2))
    with visit(Behaviour(faults=faults), letters=2) as visited:
        events = [(type(event), event.letter.number) for event in visited.mailbox.retrieve(visited.letters)]
        assert events == [(Begun, 1), (Chunk, 1), (Complete, 1), (Refused, 2)]
