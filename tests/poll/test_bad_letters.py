"""One letter that a server cannot give, and a server that gives no more for now: the other letters come."""

from dataclasses import replace

import pytest

from fetchrules.errors import ConnectionLost, NothingCame, OverLimit, ServerTemporary
from fetchrules.ledger import by_hand, hosts
from fetchrules.models import Letter
from fetchrules.policy.known import MAX_TRIES
from tests.poll.conftest import NewImapScene, NewScene, letter
from tests.servers import imap
from tests.servers.faults import Fault, Say
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Behaviour, LetterFault, Step

NAMES = [f"letter-{number:02}" for number in range(12)]
BAD = 6


def all_but(*numbers: int) -> list[str]:
    return [name for number, name in enumerate(NAMES, 1) if number not in numbers]


@pytest.mark.parametrize(
    "kind",
    [
        imap.Behaviour(nothing=frozenset({BAD})),
        imap.Behaviour(refuses={BAD: "NO not this one"}),
        imap.Behaviour(refuses={BAD: "BAD UID FETCH failed"}),
    ],
    ids=["nothing", "NO", "BAD"],
)
def test_the_others_come_in_the_same_poll_while_the_session_lives(
    kind: imap.Behaviour, new_imap_scene: NewImapScene
) -> None:
    scene = new_imap_scene(kind)
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert (counts.fetched, counts.held) == (11, 1)
    assert scene.delivered == all_but(BAD)
    assert scene.server.connections == 1
    for _ in range(MAX_TRIES - 1):
        assert isinstance(scene.poll().error, NothingCame)
    assert scene.poll_fine().left == {"held": 1}
    assert [row.uid for row in Letter.objects.filter(by_hand.PROBLEMS)] == [str(BAD)]


def test_the_others_come_within_two_polls_where_it_breaks_the_session(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(breaks=frozenset({BAD})))
    scene.arrive(*NAMES)
    scene.poll()
    assert scene.server.connections <= 3
    scene.poll()
    assert scene.delivered == all_but(BAD)
    assert [row.uid for row in Letter.objects.filter(state="held")] == [str(BAD)], "no other is blamed"
    for _ in range(MAX_TRIES):
        scene.poll()
    assert Letter.objects.get(state="held").tries == MAX_TRIES
    assert scene.poll_fine().left == {"held": 1}
    scene.behave()
    scene.arrive("later")
    scene.poll_fine()


@pytest.mark.parametrize("words", ["[OVERQUOTA] enough", "[UNAVAILABLE] later", "[LIMIT] rate"])
@pytest.mark.parametrize("bye", [False, True], ids=["NO", "BYE"])
def test_an_imap_server_over_its_limits_blames_no_letter(words: str, bye: bool, new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(gives=0, limit_words=words, says_bye=bye))
    scene.arrive(*NAMES)
    for _ in range(MAX_TRIES + 1):
        del scene.server.said[:]
        result = scene.poll()
        assert isinstance(result.error, OverLimit | ServerTemporary)
        assert len([line for line in scene.server.said if "UID FETCH" in line]) <= len(NAMES), "it is left in peace"
    assert not Letter.objects.exists()
    scene.behave()
    for _ in range(3):
        scene.poll_fine()
    assert scene.delivered == NAMES


def test_a_pop3_server_over_its_limits_blames_no_letter(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(gives=3))
    scene.arrive(*NAMES)
    for fetched in (3, 3, 3):
        result = scene.poll()
        assert isinstance(result.error, OverLimit)
        assert (result.counts.fetched, result.counts.deleted, result.counts.held) == (fetched, 3, 0)
    scene.poll()
    assert scene.delivered == NAMES
    assert scene.maildrop.uids == []


def test_the_letter_that_alone_gets_that_answer_is_held(new_scene: NewScene) -> None:
    exceeds = LetterFault(Step.RETR, "letter-05", Say(b"-ERR Download exceed limit\r\n"))
    scene = new_scene(Behaviour(letter_faults=(exceeds,)).without("PIPELINING"))
    scene.arrive(*NAMES)
    assert isinstance(scene.poll().error, OverLimit)
    assert scene.delivered == NAMES[:5]
    counts = scene.poll_fine()
    assert (counts.fetched, counts.held) == (6, 1)
    assert Letter.objects.get(state="held").uid == "letter-05"


def test_one_imap_letter_over_the_limit_keeps_back_no_other(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(refuses={BAD: "NO [LIMIT] too much"}))
    scene.arrive(*NAMES)
    for _ in range(8):
        scene.poll()
    assert scene.delivered == all_but(BAD)


@pytest.mark.parametrize(
    "kind", [imap.Behaviour(message_limit=50), imap.Behaviour(message_limit=50, message_limit_refuses=True)]
)
def test_all_letters_come_from_a_server_that_lists_in_part(kind: imap.Behaviour, new_imap_scene: NewImapScene) -> None:
    names = [f"letter-{number:03}" for number in range(250)]
    scene = new_imap_scene(kind, keep=True)
    scene.arrive(*names)
    for _ in range(2):
        scene.poll_fine()
    assert scene.delivered == names


def test_a_server_that_hangs_up_on_long_listings_is_asked_for_less(new_imap_scene: NewImapScene) -> None:
    names = [f"letter-{number:03}" for number in range(300)]
    scene = new_imap_scene(imap.Behaviour(lists=100), keep=True)
    scene.arrive(*names)
    assert isinstance(scene.poll().error, ConnectionLost)
    assert hosts.list_at_once(scene.rule.source.host) == 75
    scene.poll_fine()
    assert scene.delivered == names


def test_a_server_that_hangs_up_on_those_too_is_asked_for_still_less(new_imap_scene: NewImapScene) -> None:
    names = [f"letter-{number:03}" for number in range(400)]
    scene = new_imap_scene(imap.Behaviour(lists=30), keep=True)
    scene.arrive(*names)
    for portion in (100, 25):
        assert isinstance(scene.poll().error, ConnectionLost)
        assert hosts.list_at_once(scene.rule.source.host) == portion
    scene.poll_fine()
    assert scene.delivered == names


def test_a_folder_that_has_grown_too_long_for_one_listing_is_asked_for_less(new_imap_scene: NewImapScene) -> None:
    """Its listing is asked for together with SELECT while it is known to be small."""
    names = [f"letter-{number:03}" for number in range(200)]
    scene = new_imap_scene(imap.Behaviour(lists=100), keep=True)
    scene.arrive(*names[:90])
    scene.poll_fine()
    scene.arrive(*names[90:])
    for _ in range(2):
        assert isinstance(scene.poll().error, ConnectionLost)
    assert hosts.list_at_once(scene.rule.source.host) == 50
    scene.poll_fine()
    assert scene.delivered == names


@pytest.mark.parametrize("rule", [{"keep": False}, {"keep": True}], ids=["nokeep", "keep"])
def test_one_refusal_to_name_letters_passes(rule: dict[str, bool], new_scene: NewScene) -> None:
    kind = Behaviour(capabilities=None)
    scene = new_scene(kind, keep=True)
    scene.arrive("a", "b")
    scene.poll_fine()
    scene.behave(replace(kind, faults=(Fault(Step.UIDL, Say(b"-ERR try again\r\n")),)))
    assert isinstance(scene.poll(**rule).error, ServerTemporary) is rule["keep"]
    scene.rule.refresh_from_db()
    assert not scene.rule.pause
    scene.behave(kind)
    scene.arrive("c")
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["a", "b", "c"]


def test_a_poll_of_which_nothing_came_is_no_success(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR no\r\n"), 0),)))
    scene.arrive("a")
    assert isinstance(scene.poll().error, NothingCame)
    scene.rule.refresh_from_db()
    assert (scene.rule.last_error, scene.rule.next_reason, scene.rule.failures) == ("nothing_came", "interval", 0)


def test_a_poll_that_recognises_what_it_fetches_is_a_success(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a", "b")
    scene.poll_fine()
    scene.replace(*(StoredLetter(f"new-{one.uid}", one.data) for one in scene.maildrop.letters))
    assert scene.poll_fine().left == {"seen": 2}


def test_it_counts_unique_ids_that_were_given_to_other_letters(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    one, two = letter("a", size=400), letter("b", size=500)
    scene.arrive(one)
    scene.poll_fine()
    scene.replace(StoredLetter("a", two.data))
    scene.poll_fine()
    assert scene.delivered == ["a", "b"]
    host = hosts.that_shift().get()
    assert (host.host, host.shifted) == ("127.0.0.1", 1)


def test_a_short_listing_that_breaks_is_asked_for_as_it_was(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(lists=1), keep=True)
    scene.arrive("a", "b")
    assert isinstance(scene.poll().error, ConnectionLost)
    assert hosts.list_at_once(scene.rule.source.host) is None
