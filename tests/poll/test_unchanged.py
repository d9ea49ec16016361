"""A poll that finds a mailbox as the last one left it ends there, and every way in which "unchanged" could be untrue."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fetchrules.ledger import by_hand, runs
from fetchrules.models import FetchRule, Letter, Run, SourceMailbox
from fetchrules.policy.known import State
from fetchrules.poll.run import poll
from tests.conftest import MakeRule
from tests.poll.conftest import ImapScene, NewImapScene, NewScene, Reader, Scene, letter
from tests.servers import imap
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, LetterFault, Say, Step

pytestmark = pytest.mark.django_db


def looked_through(scene: Reader) -> bool:
    """Poll once; whether the mailbox was listed and planned for, or left alone after a glance."""
    scene.poll_fine()
    stages = [name for name, _ in Run.objects.latest("id").stages]
    return "listing" in stages


def settle(scene: Reader) -> None:
    """Poll until nothing is left to do."""
    while looked_through(scene):
        pass


@pytest.fixture
def kept(new_scene: NewScene) -> Scene:
    """A mailbox whose two letters are here and stay there; nothing is left to do."""
    scene = new_scene(keep=True)
    scene.arrive("a", "b")
    settle(scene)
    return scene


def test_it_looks_twice_and_then_glances(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a", "b")
    assert [looked_through(scene) for _ in range(4)] == [True, True, False, False]


def test_a_glance_counts_as_a_look_does(kept: Scene) -> None:
    counts = kept.poll_fine()
    assert (counts.found, counts.fetched, counts.skipped, counts.left) == (2, 0, 2, {"seen": 2})
    rule = FetchRule.objects.get()
    assert (rule.last_found, rule.last_skipped, rule.last_left) == (2, 2, {"seen": 2})


def test_a_glance_asks_the_database_six_times(kept: Scene, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    FetchRule.objects.update(next_poll_at=timezone.now())
    (run_id,) = runs.claim_due(timezone.now())
    statements = 6  # started, read; still ours, removed, noted with the rule, counted
    with django_assert_num_queries(statements + 4):  # and SAVEPOINT and RELEASE of two transactions
        assert poll(run_id, limits=kept.limits, memory=kept.memory)
    assert not Run.objects.filter(id=run_id).exists()


def test_a_letter_came(kept: Scene) -> None:
    kept.arrive("c")
    assert looked_through(kept)
    assert kept.delivered == ["a", "b", "c"]


def test_a_letter_went(kept: Scene) -> None:
    kept.replace(letter("a"))
    assert looked_through(kept)
    assert Letter.objects.get(uid="b").missing_since is not None


def test_a_letter_went_and_another_came_under_its_name(kept: Scene) -> None:
    kept.replace(letter("a"), letter("b", filling="another"))
    assert looked_through(kept)
    assert kept.delivered == ["a", "b", "b"]


def test_letters_changed_places(kept: Scene) -> None:
    kept.replace(letter("b"), letter("a"))
    assert looked_through(kept)
    assert kept.delivered == ["a", "b"]


def test_the_rule_is_another(kept: Scene) -> None:
    assert kept.poll_fine(flush=True).deleted == 2


def test_the_rule_no_longer_keeps_letters(kept: Scene) -> None:
    kept.poll_fine(keep=False)
    kept.arrive("c")
    assert kept.poll_fine().fetched == 1
    assert kept.maildrop.uids == ["a", "b"]


def test_an_hour_has_passed(kept: Scene) -> None:
    source = SourceMailbox.objects.get()
    for minutes in (-1, 61):  # it was an hour ago, or a wrong clock wrote it
        source.settled["until"] = (timezone.now() + timedelta(minutes=minutes)).isoformat()
        source.save()
        assert looked_through(kept)
    assert not looked_through(kept)


def test_somebody_decides_over_a_letter(kept: Scene) -> None:
    Letter.objects.filter(uid="b").update(state=State.PASSED, head="x")
    settle(kept)
    assert by_hand.take_up(Letter.objects.all()) == 1
    assert looked_through(kept)
    assert kept.delivered == ["a", "b", "b"]


def test_somebody_decides_over_a_letter_while_it_is_looked_at(kept: Scene) -> None:
    kept.arrive("c")
    settle(kept)
    Letter.objects.filter(uid="b").update(state=State.PASSED, head="x")
    SourceMailbox.objects.update(settled={})
    (run_id,) = runs.claim([kept.rule], timezone.now(), Run.Cause.COMMAND)
    read = runs.start_all

    def start_all(ids: list[int], now: object) -> dict[int, Run]:
        begun = read(ids, now)  # type: ignore[arg-type]
        by_hand.take_up(Letter.objects.all())
        Letter.objects.filter(state=State.HELD).update(state=State.PASSED)  # what the poll sees is as it was
        return begun

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "start_all", start_all)
        assert poll(run_id, limits=kept.limits, memory=kept.memory)
    assert SourceMailbox.objects.get().settled == {}


def test_the_listing_was_not_whole(new_scene: NewScene) -> None:
    lacks = Behaviour(faults=(Fault(Step.STAT, Say(b"+OK 3 500\r\n")),))
    scene = new_scene(lacks, keep=True)
    scene.arrive("a", "b")
    assert [looked_through(scene) for _ in range(3)] == [True] * 3


def test_the_listing_was_empty_for_a_while(kept: Scene) -> None:
    letters = list(kept.maildrop.letters)
    kept.maildrop.commit(letters)
    assert [looked_through(kept) for _ in range(3)] == [True] * 3
    kept.arrive(*letters)
    assert looked_through(kept)
    settle(kept)
    assert kept.delivered == ["a", "b"]


def test_a_letter_is_held(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(letter_faults=(LetterFault(Step.RETR, "b", Say(b"-ERR no\r\n")),)), keep=True)
    scene.arrive("a", "b")
    for _ in range(3):
        scene.poll()
    scene.behave()
    assert scene.poll_fine().fetched == 1


def test_another_recipient_gets_the_letters_too(kept: Scene, make_rule: MakeRule) -> None:
    place = {name: getattr(kept.rule, name) for name in ("server", "port", "user", "encryption", "timeout", "keep")}
    other = Reader(make_rule(recipient="b@mydomain.ru", **place), kept.mailbox.parent / "b", memory=kept.memory)
    other.poll_fine()
    assert other.delivered == ["a", "b"]
    assert looked_through(kept)  # something was recorded for its mailbox
    settle(kept)
    settle(other)


def test_the_claim_is_lost_before_the_end(kept: Scene) -> None:
    SourceMailbox.objects.update(settled={})
    (run_id,) = runs.claim([kept.rule], timezone.now(), Run.Cause.COMMAND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fetchrules.poll.run.is_idle", lambda run, _: bool(Run.objects.filter(id=run.id).update(**ENDED)))
        poll(run_id, limits=kept.limits, memory=kept.memory)
    assert SourceMailbox.objects.get().settled == {}


ENDED = {"state": Run.State.ABANDONED, "finished_at": timezone.now()}


def test_letters_are_to_be_passed(kept: Scene) -> None:
    SourceMailbox.objects.update(pass_present=True)
    assert looked_through(kept)


def test_days_are_noted_at_a_glance(new_scene: NewScene) -> None:
    scene = new_scene(keepdays=30)
    scene.arrive("a")
    settle(scene)
    SourceMailbox.objects.update(listed_at=timezone.now() - timedelta(hours=3))
    assert not looked_through(scene)
    assert SourceMailbox.objects.get().lived >= 3 * 3600


def test_days_that_do_not_count_are_said(new_scene: NewScene) -> None:
    scene = new_scene(keepdays=30)
    scene.arrive("a")
    settle(scene)
    SourceMailbox.objects.update(listed_at=timezone.now() - timedelta(days=9))
    assert looked_through(scene)


def test_a_letter_has_been_there_for_its_days(new_scene: NewScene) -> None:
    scene = new_scene(keepdays=1)
    scene.arrive("a")
    settle(scene)
    Letter.objects.update(delivered_at=timezone.now() - timedelta(days=2), lived=0)
    SourceMailbox.objects.update(lived=2 * 86400)
    source = SourceMailbox.objects.get()
    source.settled["until"] = (timezone.now() - timedelta(seconds=1)).isoformat()
    source.save()
    assert scene.poll_fine().deleted == 1


@pytest.mark.parametrize("kind", ["pop3", "imap"])
def test_an_empty_mailbox_is_glanced_at_too(kind: str, new_scene: NewScene, new_imap_scene: NewImapScene) -> None:
    scene: Reader = new_scene() if kind == "pop3" else new_imap_scene()
    assert [looked_through(scene) for _ in range(3)] == [True, False, False]


def test_imap_is_compared_by_its_listing_where_the_server_counts_no_changes(new_imap_scene: NewImapScene) -> None:
    scene: ImapScene = new_imap_scene(keep=True)
    scene.arrive("a", "b", size=500)
    settle(scene)
    scene.behave(imap.Behaviour())
    assert not looked_through(scene)
    scene.arrive("c")
    assert scene.poll_fine().fetched == 1
    settle(scene)


def counting_changes(changes: int, *faults: Fault) -> imap.Behaviour:
    """A server whose SELECT says how often the folder has changed (RFC 7162)."""
    said = f"* OK [HIGHESTMODSEQ {changes}] .\r\n".encode()
    return imap.Behaviour(faults=(Fault(imap.Step.SELECT, Alter(lambda answer: said + answer)), *faults))


UNLISTED = Fault(imap.Step.LISTING, Cut(0))
"""Whoever asks for a listing is hung up on."""


def test_imap_is_not_even_listed_where_the_server_counts_changes(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(counting_changes(5), keep=True)
    scene.arrive("a", "b", size=500)
    scene.poll_fine()
    scene.behave(counting_changes(6))  # marked as read
    settle(scene)
    scene.behave(counting_changes(6, UNLISTED))
    assert scene.poll_fine().found == 2
    scene.behave(counting_changes(7, UNLISTED))
    assert scene.poll().error is not None
    scene.behave(counting_changes(7))
    scene.arrive("c")
    assert scene.poll_fine().fetched == 1


def test_a_state_is_not_noted_for_a_listing_that_was_not_whole(new_imap_scene: NewImapScene) -> None:
    lacking = Fault(imap.Step.LISTING, Alter(lambda answer: b"".join(answer.splitlines(keepends=True)[1:])))
    scene = new_imap_scene(counting_changes(5), keep=True)
    scene.arrive("a", size=500)
    settle(scene)
    scene.arrive("b", size=500)
    scene.behave(counting_changes(6, lacking))
    scene.poll()
    assert scene.delivered == ["a", "b"] or SourceMailbox.objects.get().settled == {}
    scene.behave(counting_changes(6))
    settle(scene)
    assert scene.delivered == ["a", "b"]
