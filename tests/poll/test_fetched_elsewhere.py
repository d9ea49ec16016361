"""What another collector has fetched, by its list: that is not collected again, and all else is."""

from collections.abc import Iterable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from fetchrules.acts.letters import take_up
from fetchrules.errors import RunOvertaken
from fetchrules.ledger import fetched, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Filing
from fetchrules.ledger.source_mailboxes import folders_of
from fetchrules.models import FetchedBefore, Letter, Run, SourceMailbox
from fetchrules.poll.run import dry_run
from tests.conftest import MakeRule
from tests.poll.conftest import NewImapScene, NewScene, Reader, Scene, letter
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Fault, Step


@pytest.fixture
def scene(new_scene: NewScene) -> Scene:
    """A rule that leaves its mail, and three letters."""
    scene = new_scene(keep=True)
    scene.arrive("a", "b", "c")
    return scene


def file(scene: Reader, *uids: str) -> None:
    """The other collector's list has these letters."""
    fetched.file({scene.rule.source: uids})


def waiting() -> list[str]:
    return [uid for uids in FetchedBefore.objects.values_list("uids", flat=True) for uid in uids]


def passed() -> set[tuple[str, int]]:
    """Unique-ids and sizes of the letters that are passed over."""
    return set(Letter.objects.filter(state="passed").values_list("uid", "size"))


def test_it_collects_what_the_list_lacks_and_learns_the_sizes_of_the_others(scene: Scene) -> None:
    file(scene, "a", "b", "gone", "gone too")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {"elsewhere": 2, "not_there": 2})
    assert scene.delivered == ["c"]
    assert passed() == {(name, len(letter(name).data)) for name in "ab"}
    assert waiting() == []
    assert not Letter.objects.filter(state="passed", head="").exists()
    scene.arrive("d")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {"passed": 2, "seen": 1})
    assert scene.delivered == ["c", "d"]


@pytest.mark.parametrize("columns", [{"keep": False}, {"fetchall": True}, {"flush": True}, {"keepdays": 1}], ids=str)
def test_it_never_deletes_them_whatever_the_rule_says(columns: dict[str, bool], scene: Scene) -> None:
    file(scene, "a", "b")
    for _ in range(3):
        scene.poll_fine(**columns)
    assert set(scene.delivered) == {"c"}
    assert {"a", "b"} <= set(scene.maildrop.uids)


def test_the_list_waits_for_a_complete_listing_and_is_heeded_meanwhile(scene: Scene) -> None:
    file(scene, "a", "b", "gone")
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Alter(lambda answer: answer.replace(b"+OK 3", b"+OK 4"))),)))
    for _ in range(2):
        counts = scene.poll_fine()
        assert counts.left["elsewhere"] == 2
        assert "not_there" not in counts.left
    assert (scene.delivered, sorted(waiting()), passed()) == (["c"], ["a", "b", "gone"], set())
    scene.behave()
    assert scene.poll_fine().left == {"elsewhere": 2, "not_there": 1, "seen": 1}
    assert waiting() == []


def test_the_list_waits_while_the_mailbox_seems_empty(scene: Scene) -> None:
    file(scene, "a", "b", "c")
    letters = scene.maildrop.letters
    scene.replace()
    scene.poll_fine()
    assert sorted(waiting()) == ["a", "b", "c"]
    scene.replace(*letters)
    assert scene.poll_fine().left == {"elsewhere": 3}


def test_the_list_waits_while_the_server_gives_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False))
    scene.arrive("a")
    file(scene, "a", "b")
    scene.poll_fine()
    assert waiting() == ["a", "b"]
    scene.behave()
    scene.arrive("b")
    assert scene.poll_fine().left == {"elsewhere": 1, "not_there": 1}


def test_a_mailbox_that_was_as_before_is_looked_through_again(new_scene: NewScene) -> None:
    scene = new_scene(keep=True, limit=10)
    scene.arrive("a")
    for _ in range(3):
        assert scene.poll_fine().left == {"too_large": 1}
    assert SourceMailbox.objects.exclude(settled={}).exists()
    file(scene, "a", "gone")
    assert scene.poll_fine().left == {"elsewhere": 1, "not_there": 1}
    assert scene.poll_fine().left == {"passed": 1}


def test_what_was_collected_here_is_not_counted_again(scene: Scene) -> None:
    scene.poll_fine()
    file(scene, "a", "b", "c")
    assert scene.poll_fine().left == {"seen": 3}
    assert (waiting(), passed()) == ([], set())


def test_a_name_that_two_letters_have_proves_nothing(scene: Scene) -> None:
    scene.arrive(StoredLetter("a", letter("another").data))
    file(scene, "a", "b")
    scene.poll_fine(keep=False)
    assert scene.delivered == ["a", "another", "c"]


def test_lists_that_come_one_after_another_add_up(scene: Scene) -> None:
    file(scene, "a")
    file(scene, "b", "a")
    assert waiting() == ["a", "b"]
    assert scene.poll_fine().left == {"elsewhere": 2}


def test_it_recognises_them_under_new_names(scene: Scene) -> None:
    file(scene, "a", "b", "c")
    scene.poll_fine()
    scene.replace(*(StoredLetter(f"new {one.uid}".replace(" ", ""), one.data) for one in scene.maildrop.letters))
    scene.poll_fine()
    assert scene.delivered == []


def test_a_list_that_came_under_a_former_name_of_the_mailbox_counts(scene: Scene, make_rule: MakeRule) -> None:
    former = make_rule(server="former.ru", user="petrov", recipient="x@mydomain.ru").source
    SourceMailbox.objects.filter(pk=scene.rule.source.pk).update(continues=former)
    fetched.file({former: ["a"]})
    assert scene.poll_fine().left == {"elsewhere": 1}
    assert waiting() == []


def test_it_says_so_in_a_dry_run_and_changes_nothing_by_it(scene: Scene) -> None:
    file(scene, "a", "gone")
    (plan,) = dry_run(scene.rule)
    assert ([one.uid for one in plan.elsewhere], len(plan.fetch)) == (["a"], 2)
    assert waiting() == ["a", "gone"]


def test_they_are_fetched_after_all_when_told(scene: Scene, alice: User) -> None:
    file(scene, "a", "b")
    take_up(scene.rule, by=alice)
    assert waiting() == []
    assert scene.poll_fine().fetched == 3
    file(scene, "d")
    scene.arrive("d")
    scene.poll_fine()
    take_up(scene.rule, by=alice)
    assert scene.poll_fine().fetched == 1


def test_a_list_of_another_server_and_login_is_not_believed(scene: Scene, make_rule: MakeRule) -> None:
    """The rule goes on with the ledger of a mailbox that had neither: its names may be other letters' here."""
    former = make_rule(server="former.ru", user="x", recipient="x@mydomain.ru").source
    SourceMailbox.objects.filter(pk=scene.rule.source.pk).update(continues=former)
    there = scene.maildrop.uids
    fetched.file({former: there})
    scene.poll_fine(keep=True)
    assert scene.delivered == there


def test_a_list_of_a_former_name_is_dropped_when_they_are_to_be_fetched_after_all(
    scene: Scene, make_rule: MakeRule, alice: User
) -> None:
    former = make_rule(server="former.ru", user="petrov", recipient="x@mydomain.ru").source
    SourceMailbox.objects.filter(pk=scene.rule.source.pk).update(continues=former)
    fetched.file({former: ["a"]})
    assert fetched.waiting(folders_of(scene.rule.source)) == 1
    take_up(scene.rule, by=alice)
    assert waiting() == []
    assert scene.poll_fine().fetched == 3


def test_a_poll_that_has_read_a_list_counts_nothing_when_another_has_come(scene: Scene) -> None:
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    run = runs.start(run_id, timezone.now())
    assert run is not None
    file(scene, "a")
    read = list(FetchedBefore.objects.values_list("id", flat=True))
    file(scene, "b")
    with pytest.raises(RunOvertaken):
        ledger.record_elsewhere(Filing(run, scene.rule.source, 0), [], read, timezone.now())
    assert waiting() == ["a", "b"]


@pytest.mark.parametrize("uidl", [True, False], ids=["uidl", "by marks"])
def test_on_imap_a_name_counts_with_its_uidvalidity(uidl: bool, new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True, uidl=uidl)
    first, second, _third = scene.arrive("a", "b", "c")
    epoch = scene.folder.uidvalidity
    file(scene, *_names(epoch, [first]), *_names(epoch + 1, [second]))
    assert scene.poll_fine().left == {"elsewhere": 1, "not_there": 1}
    assert scene.delivered == ["b", "c"]


def _names(epoch: int, uids: Iterable[int]) -> list[str]:
    return [f"{epoch}/{uid}" for uid in uids]
