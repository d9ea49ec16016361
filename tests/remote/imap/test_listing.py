"""Folders listed in portions: what is told of all letters, what of some, and how often the server is asked."""

from dataclasses import replace

import pytest

from fetchrules.errors import ConnectionLost, FetchError, OverLimit, ServerRefused
from fetchrules.remote.imap.session import open_imap
from tests.remote.imap.sessions import DEADLINES, account, visit
from tests.servers.faults import Alter, Fault, Say
from tests.servers.imap import CAPABILITIES, Behaviour, Folder, ImapServer, Step
from tests.servers.maildrop import letter


def channels(exists: int, **behaviour: int) -> Behaviour:
    """A server that says that there are so many letters."""
    change = Alter(lambda told: told.replace(b"* 10 EXISTS", b"* %d EXISTS" % exists))
    return Behaviour(faults=(Fault(Step.SELECT, change),), **behaviour)  # type: ignore[arg-type]


def test_it_lists_the_newest_portion_first() -> None:
    with visit() as visited:
        listing = visited.mailbox.listing(4)
        assert visited.numbers("FETCH") == ["7:10", "3:6", "1:2"]
        assert [one.number for one in listing.letters] == list(range(1, 11))
        assert (listing.complete, listing.unlisted, visited.mailbox.exists) == (True, 0, 10)


def test_it_lists_so_many_in_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fetchrules.remote.imap.listing.PORTION", 6)
    with visit() as visited:
        assert visited.mailbox.listing().complete
        assert visited.mailbox.listing(100).complete
        assert visited.numbers("FETCH") == ["5:10", "1:4", "5:10", "1:4"]


@pytest.mark.parametrize("refuses", [False, True])
def test_it_goes_on_in_portions_that_the_server_allows(*, refuses: bool) -> None:
    with visit(Behaviour(message_limit=4, message_limit_refuses=refuses)) as visited:
        listing = visited.mailbox.listing()
        assert (len(listing.letters), listing.complete) == (10, True)
        assert visited.numbers("FETCH") == ["1:10", "7:10", "3:6", "1:2"]


def test_it_asks_for_no_more_than_the_server_announces() -> None:
    behaviour = Behaviour(message_limit=4, capabilities=(*CAPABILITIES, "MESSAGELIMIT=4"))
    with visit(behaviour) as visited:
        assert visited.mailbox.listing(7).complete
        assert visited.numbers("FETCH") == ["7:10", "3:6", "1:2"]


@pytest.mark.parametrize("words", [b"OK [MESSAGELIMIT 50 2] not all", b"OK [MESSAGELIMIT 10 2] not all"])
def test_it_takes_no_list_for_whole_that_was_cut_at_no_limit(words: bytes) -> None:
    cut = Alter(lambda told: told.partition(b"\r\n")[2].replace(b"OK done", words))
    with visit(Behaviour(faults=(Fault(Step.LISTING, cut),))) as visited:
        listing = visited.mailbox.listing()
        assert (len(listing.letters), listing.complete) == (9, False)


def test_it_believes_a_limit_where_all_came() -> None:
    odd = Alter(lambda told: told.replace(b"OK done", b"OK [MESSAGELIMIT 4 7] not all"))
    with visit(Behaviour(faults=(Fault(Step.LISTING, odd),))) as visited:
        assert len(visited.mailbox.listing().letters) == 10


CHANGES = {
    b"* 2 EXPUNGE\r\n": False,
    b"* 2 EXPUNGE\r\n* 9 EXISTS\r\n* 10 EXISTS\r\n": False,
    b"* 9 EXISTS\r\n": False,
    b"* 11 EXISTS\r\n* 1 RECENT\r\n": True,
}


@pytest.mark.parametrize(("told", "complete"), CHANGES.items())
def test_it_takes_no_list_for_whole_from_which_letters_went(told: bytes, *, complete: bool) -> None:
    news = Fault(Step.LISTING, Alter(lambda answer: told + answer), nth=2)
    with visit(Behaviour(faults=(news,))) as visited:
        listing = visited.mailbox.listing(4)
        assert (len(listing.letters), listing.complete) == (10, complete)
        assert visited.mailbox.listing().complete  # what was told before does not count


def test_it_says_how_many_letters_there_were_when_the_server_hung_up() -> None:
    folder = Folder([letter(str(number)) for number in range(10)])
    with ImapServer(folder, Behaviour(lists=5)) as server:
        mailbox = open_imap(account(server))
        with pytest.raises(ConnectionLost):
            mailbox.listing()
        assert mailbox.exists == 10
        mailbox = open_imap(account(server))
        assert mailbox.listing(5).complete
        assert mailbox.quit()


PORTIONS: list[tuple[bytes, type[FetchError]]] = [(b"NO not now", ServerRefused), (b"NO [LIMIT] later", OverLimit)]


@pytest.mark.parametrize(("words", "error"), PORTIONS)
def test_it_says_so_when_a_portion_is_refused(words: bytes, error: type[FetchError]) -> None:
    refusing = Fault(Step.LISTING, Say(b"{tag} " + words + b"\r\n"), nth=2)
    with visit(Behaviour(faults=(refusing,))) as visited, pytest.raises(error):
        visited.mailbox.listing(4)


def test_it_takes_no_part_of_a_portion_from_a_server_over_its_limits() -> None:
    """The list would be as short the next time, and the letters that it lacks would never come."""
    limit = Alter(lambda told: told.replace(b"OK done", b"NO [OVERQUOTA] later"))
    with visit(Behaviour(faults=(Fault(Step.LISTING, limit),))) as visited, pytest.raises(OverLimit):
        visited.mailbox.listing()


@pytest.mark.parametrize("at_once", [3, 4, 10])
def test_it_finds_the_letters_of_a_server_that_counts_too_many(at_once: int) -> None:
    with visit(channels(40)) as visited:
        listing = visited.mailbox.listing(at_once)
        assert [one.number for one in listing.letters] == list(range(1, 11))
        assert (listing.complete, listing.unlisted) == (False, 30)


def test_it_finds_them_in_portions_that_the_server_allows() -> None:
    with visit(channels(40, message_limit=4)) as visited:
        listing = visited.mailbox.listing(20)
        assert (len(listing.letters), listing.complete) == (10, False)
        assert visited.numbers("FETCH") == ["21:40", "1:20", "1:4", "5:8", "9:12", "13:16"]


def test_it_believes_no_list_that_had_nothing_at_first() -> None:
    nothing = Fault(Step.LISTING, Say(b"{tag} OK done\r\n"))
    with visit(Behaviour(faults=(nothing,))) as visited:
        listing = visited.mailbox.listing(5)
        assert (len(listing.letters), listing.complete) == (10, False)


@pytest.mark.parametrize("slow", [Behaviour(select_takes=0.5), Behaviour(listing_takes=0.5)])
def test_it_waits_longer_where_a_large_folder_takes_a_server_long(slow: Behaviour) -> None:
    with visit(slow, deadlines=replace(DEADLINES, idle=0.2, listing=10)) as visited:
        assert visited.mailbox.listing().complete


def test_it_says_that_it_is_alive_meanwhile() -> None:
    told: list[None] = []
    with ImapServer(Folder(), Behaviour(select_takes=0.4)) as server:
        assert open_imap(account(server, replace(DEADLINES, alive=0.05)), alive=lambda: told.append(None)).quit()
    assert len(told) > 2
