"""Faults and changes that meet: a letter must not be lost, doubled or stuck because two of them come together."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger.source_mailboxes import pass_present
from fetchrules.models import FetchRule, Letter, SourceMailbox
from tests.poll.conftest import ImapScene, NewImapScene, NewScene, Scene, letter
from tests.poll.test_former_names import place, rename
from tests.servers import imap
from tests.servers.faults import Alter, Cut, Fault, Say
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Behaviour, LetterFault, Step


def pass_over(scene: Scene) -> None:
    """What lies there counts as collected."""
    pass_present([scene.rule.source])
    scene.rule.refresh_from_db()
    scene.poll_fine()


def two_days_later() -> None:
    """What is missing has been so for long."""
    Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=2))


def test_a_name_of_a_passed_letter_that_is_gone_may_be_another_letters(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("aa", "zz")
    pass_over(scene)
    scene.maildrop.commit([scene.maildrop.letters[0]])
    for _ in range(3):
        scene.poll_fine()
        two_days_later()
    scene.arrive(StoredLetter("aa", letter("bb").data))
    scene.poll_fine()
    assert scene.delivered == ["bb"]


def learns(scene: Scene) -> None:
    pass_over(scene)
    Letter.objects.update(head="")


def compares(scene: Scene) -> None:
    pass_over(scene)
    scene.replace(*(StoredLetter(f"n{one.uid}", one.data) for one in scene.maildrop.letters))


@pytest.mark.parametrize("before", [learns, compares])
def test_one_header_that_breaks_sessions_keeps_back_no_letter(
    before: Callable[[Scene], None], new_scene: NewScene
) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a", "b", "c")
    before(scene)
    scene.arrive("new")
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.TOP, "n?b", Cut()),)))
    for _ in range(3):
        scene.poll()
    assert "new" in scene.delivered


def test_one_header_that_breaks_sessions_keeps_back_no_deletion(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(stay="a"))
    scene.arrive("a", "b")
    for _ in range(3):
        scene.poll()
    scene.behave(Behaviour(stay="a", letter_faults=(LetterFault(Step.TOP, "a", Cut()),)))
    scene.arrive("new")
    for _ in range(3):
        scene.poll()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "new"], ["a"])


@pytest.mark.parametrize(
    "kind",
    [imap.Behaviour(breaks=frozenset({103})), imap.Behaviour(refuses={103: "NO [LIMIT] no"})],
    ids=["breaks", "over the limit"],
)
def test_one_header_of_a_read_letter_keeps_back_no_letter(kind: imap.Behaviour, new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True)
    scene.arrive("ours")
    scene.poll_fine()
    scene.arrive("r1", "r2", "r3", flags=("\\Seen",))
    scene.renumber()
    scene.arrive("new")
    scene.behave(kind)
    for _ in range(8):
        scene.poll()
    assert "new" in scene.delivered


@pytest.mark.parametrize("words", ["NO [LIMIT] too much", "BYE [LIMIT] too much"])
def test_one_letter_over_the_limit_is_found(words: str, new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(refuses={4: words}))
    scene.arrive(*"abcdefghij")
    for _ in range(12):
        scene.poll()
    assert scene.delivered == list("abcefghij")
    assert Letter.objects.get(state="held").uid == "4"


def test_a_letter_that_alone_is_over_the_limit_is_found_without_others(new_scene: NewScene) -> None:
    exceeds = LetterFault(Step.RETR, "b", Say(b"-ERR Download exceed limit\r\n"))
    scene = new_scene(Behaviour(letter_faults=(exceeds,)))
    scene.arrive("a", "b", "c")
    for _ in range(3):
        scene.poll()
    assert scene.delivered == ["a", "c"]
    assert Letter.objects.get(state="held").uid == "b"


def test_letters_flagged_by_an_expunge_that_did_not_happen_are_deleted_later(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(expunges=False))
    scene.arrive(*"abc")
    told = [scene.poll_fine() for _ in range(4)]
    assert [counts.deleted for counts in told] == [3, 0, 0, 0]
    assert told[1].left == {"not_deleted": 3}
    scene.behave()
    scene.poll_fine()
    assert scene.folder.uids == []


def test_two_deletions_that_hang_up_hold_up_no_other(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(letter_faults=(LetterFault(Step.DELE, "l[26]", Cut()),)))
    scene.arrive(*(f"l{number}" for number in range(9)))
    for _ in range(9):
        scene.poll()
    scene.arrive("new")
    scene.poll()
    assert set(scene.maildrop.uids) == {"l2", "l6"}
    assert len(scene.delivered) == 10


def test_two_flags_that_hang_up_hold_up_no_other(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(breaks_storing=frozenset({3, 5})))
    scene.arrive(*(f"l{number}" for number in range(9)))
    for _ in range(9):
        scene.poll()
    scene.arrive("new")
    scene.poll()
    assert set(scene.folder.uids) == {3, 5}
    assert len(scene.delivered) == 10


def renamed(reader: ImapScene) -> None:
    """The reader's mailbox is logged in to as p from now on."""
    old = reader.rule.source
    new = SourceMailbox.objects.create(
        protocol="imap", host=old.host, port=old.port, user="p", folder="INBOX", recipient=old.recipient
    )
    SourceMailbox.objects.filter(pk=new.pk).update(continues=old)
    reader.server.user = "p"
    place(reader.rule, user="p", source=new)


def test_a_mark_made_for_one_recipient_hides_no_letter_from_the_other(new_imap_scene: NewImapScene) -> None:
    one = new_imap_scene(keep=True)
    rule, source = FetchRule.objects.get(pk=one.rule.pk), SourceMailbox.objects.get(pk=one.rule.source_id)
    source.pk, source.recipient = None, "other@mydomain.ru"
    source.save()
    rule.pk, rule.recipient, rule.source = None, "other@mydomain.ru", source
    rule.save()
    other = replace(one, rule=rule, mailbox=one.mailbox.parent / "other")
    one.arrive("x")
    one.poll_fine()
    other.poll_fine()
    one.arrive("y")
    one.poll_fine()
    renamed(one)
    renamed(other)
    for reader in (other, one, other):
        reader.poll_fine()
    assert (one.delivered, other.delivered) == (["x", "y"], ["x", "y"])


def test_deletions_that_were_pending_come_along_to_the_new_name(new_imap_scene: NewImapScene) -> None:
    refused = Fault(imap.Step.UID_EXPUNGE, Say(b"{tag} NO not now\r\n"), 0)
    scene = new_imap_scene(imap.Behaviour(faults=(refused,)))
    scene.arrive("a", "b")
    scene.poll_fine()
    scene.behave()
    renamed(scene)
    for _ in range(2):
        scene.poll_fine()
    assert (scene.folder.uids, scene.delivered) == ([], ["a", "b"])


def test_an_equal_letter_after_two_new_names_is_a_new_one(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a")
    scene.poll_fine()
    for user in ("second", "third"):
        rename(scene, user)
        scene.poll_fine()
    scene.arrive(StoredLetter("c", letter("a").data))
    scene.poll_fine()
    assert scene.delivered == ["a", "a"]


def test_a_marked_letter_that_comes_whole_under_a_new_name_keeps_its_mark(new_scene: NewScene) -> None:
    whole = letter("a", size=5234)
    scene = new_scene(Behaviour(short={"a": 1500}), keep=True)
    scene.arrive(whole, "b")
    scene.poll()
    scene.poll()
    scene.behave()
    scene.replace(StoredLetter("n1", whole.data), StoredLetter("n2", letter("b").data))
    for _ in range(2):
        scene.poll_fine(keep=False)
    assert scene.delivered == ["a", "b"]
    assert Letter.objects.get(doubt="short").uid == "n1"
    assert "n1" in scene.maildrop.uids


def test_a_server_whose_headers_differ_from_its_letters_is_read_once(new_scene: NewScene) -> None:
    with_field = Alter(lambda answer: answer.replace(b"\r\n", b"\r\nX-Folder: in\r\n", 1))
    scene = new_scene(Behaviour(stay=".*", faults=(Fault(Step.TOP, with_field, 0),)))
    scene.arrive("a", "b")
    read = []
    for _ in range(6):
        scene.poll_fine()
        read.append(len([line for line in scene.server.said if line.startswith("RETR")]))
        del scene.server.said[:]
    assert read[3:] == [0, 0, 0]


def test_passed_letters_that_were_away_for_days_come_back_under_new_names(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("p1", "p2")
    pass_over(scene)
    scene.arrive("ours")
    scene.poll_fine()
    away = scene.maildrop.letters[:2]
    scene.maildrop.commit(away)
    for _ in range(3):
        scene.poll_fine()
        two_days_later()
    scene.arrive(*(StoredLetter(f"n{one.uid}", one.data) for one in away))
    scene.poll_fine(keep=False)
    assert scene.delivered == ["ours"]
    assert {"np1", "np2"} <= set(scene.maildrop.uids)


def test_passed_letters_whose_names_go_round_stay_known(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    one, two, three = letter("a", size=300), letter("b", size=400), letter("c", size=500)
    scene.arrive(one, two, three)
    pass_over(scene)
    scene.replace(*(StoredLetter(uid, each.data) for uid, each in zip("abc", (two, three, one), strict=True)))
    scene.poll_fine()
    assert not Letter.objects.exclude(forgotten_at=None).exists()
    scene.replace(*(StoredLetter(f"n{one.uid}", one.data) for one in scene.maildrop.letters))
    scene.poll_fine(keep=False)
    assert (scene.delivered, len(scene.maildrop.letters)) == ([], 3)


def test_expunges_that_did_not_happen_are_done_under_new_names(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(imap.Behaviour(expunges=False))
    scene.arrive("a", "b")
    scene.poll_fine()
    scene.renumber()
    scene.arrive("c")
    for _ in range(3):
        scene.poll()
    scene.behave()
    scene.poll()
    assert (scene.delivered, scene.folder.uids) == (["a", "b", "c"], [])


def test_a_deletion_that_breaks_ends_a_poll_though_no_other_is_done(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(letter_faults=(LetterFault(Step.DELE, "a", Say(b"what?\r\n")),)))
    scene.arrive("a", "b", "c")
    scene.poll()
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.DELE, ".*", Say(b"-ERR no\r\n")),)))
    before = scene.server.connections
    scene.poll()
    assert scene.server.connections - before <= 2
