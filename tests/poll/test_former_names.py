"""A mailbox that gets another name: its letters are recognised, letter by letter, with all that is known of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.secrets.sealing import seal, target_of
from tests.poll.conftest import NewImapScene, NewScene, Scene, letter
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Mailbox

NAMES = [f"letter-{number:02}" for number in range(30)]
Rename = Callable[..., None]


def rename(scene: Scene, user: str = "petrov@mailserver.ru") -> SourceMailbox:
    """The same mailbox, logged in to by another name; the ledger goes on with the former one."""
    scene.server.mailboxes[user] = Mailbox("petrovpasswd", scene.maildrop)
    former = scene.rule.source
    source = SourceMailbox.objects.get_or_create(
        protocol="pop3", host=former.host, port=former.port, user=user, folder=former.folder, recipient=former.recipient
    )[0]
    SourceMailbox.objects.filter(pk=source.pk).update(continues=former)
    place(scene.rule, user=user, source=source)
    return source


def place(rule: FetchRule, **columns: Any) -> None:
    """Point the rule elsewhere, its password sealed for the new target."""
    for column, value in columns.items():
        setattr(rule, column, value)
    rule.password = seal("petrovpasswd", target_of(rule.as_rule("petrovpasswd")))
    rule.save()


@pytest.mark.parametrize("columns", [{"keep": True}, {"keepdays": 5}], ids=str)
def test_it_recognises_the_letters_that_it_has(columns: dict[str, Any], new_scene: NewScene) -> None:
    scene = new_scene(**columns)
    scene.arrive(*NAMES)
    scene.poll_fine()
    source = rename(scene)
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (0, {"seen": 30})
    assert scene.delivered == NAMES
    assert Letter.objects.exclude(source=source).count() == 30, "nothing is moved"
    scene.arrive("new")
    counts = scene.poll_fine()
    assert (counts.fetched, counts.octets < 500) == (1, True)
    assert scene.delivered == sorted([*NAMES, "new"])


def test_it_goes_on_when_the_name_is_changed_to_and_fro(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    first = scene.rule.source
    scene.arrive(*NAMES[:10])
    scene.poll_fine()
    rename(scene)
    scene.arrive(*NAMES[10:20])
    assert scene.poll_fine().fetched == 10
    rename(scene, "p.petrov")
    rename(scene, "petrov")
    assert SourceMailbox.objects.get(pk=first.pk).continues is not None
    scene.arrive(*NAMES[20:])
    assert scene.poll_fine().fetched == 10
    assert scene.delivered == NAMES


def test_a_pop3_mailbox_answers_to_an_imap_inbox(new_imap_scene: NewImapScene, new_scene: NewScene) -> None:
    pop3 = new_scene(keep=True)
    pop3.arrive(*NAMES)
    pop3.poll_fine()
    scene = new_imap_scene(keep=True)
    SourceMailbox.objects.filter(pk=scene.rule.source_id).update(continues=pop3.rule.source)
    for one in pop3.maildrop.letters:
        scene.folder.add(one.data)
    scene.folder.add(letter("read by people").data, "\\Seen")
    scene.folder.add(letter("new").data)
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {"seen": 31})
    assert scene.delivered == sorted([*NAMES, "new"])
    assert scene.poll_fine().octets == 0


def test_what_is_known_of_a_letter_comes_along(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("kept", "in doubt", "passed", "doomed")
    scene.poll_fine()
    Letter.objects.filter(uid="in doubt").update(doubt="short")
    Letter.objects.filter(uid="doomed").update(fate="wanted")
    head = Letter.objects.get(uid="passed").head
    Letter.objects.filter(uid="passed").update(state="passed", fingerprint="", head=head)
    rename(scene)
    scene.replace(
        *(StoredLetter(f"other {n}".replace(" ", "-"), one.data) for n, one in enumerate(scene.maildrop.letters))
    )
    scene.poll_fine(keep=False)
    scene.poll_fine()
    left = sorted(one.data.split(b"Subject: ")[1].split(b"\r")[0].decode() for one in scene.maildrop.letters)
    assert left == ["in doubt", "kept", "passed"]
    assert scene.delivered == ["doomed", "in doubt", "kept", "passed"], "each as often as before"


def test_the_days_lived_come_along(new_scene: NewScene, monkeypatch: pytest.MonkeyPatch) -> None:
    start, day = timezone.now(), timedelta(days=1)
    scene = new_scene(keepdays=3)
    scene.arrive("a")

    def at(days: float) -> None:
        monkeypatch.setattr(timezone, "now", lambda: start + days * day)

    for days in (0, 0.5, 1, 1.5, 2):
        at(days)
        scene.poll_fine()
    rename(scene)
    for days in (2.1, 2.5, 2.9):
        at(days)
        scene.poll_fine()
    assert scene.maildrop.uids == ["a"]
    at(3.2)
    scene.poll_fine()
    assert scene.maildrop.uids == []


def test_a_letter_that_was_deleted_for_certain_is_a_new_one(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.arrive("a")
    scene.poll_fine()
    rename(scene)
    scene.arrive("a")
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["a", "a"]


def test_another_mailbox_is_another_mailbox(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a")
    scene.poll_fine()
    rename(scene)
    SourceMailbox.objects.update(continues=None)
    scene.rule.refresh_from_db()
    assert scene.poll_fine().fetched == 1


def test_two_equal_letters_are_recognised_once_each(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a", StoredLetter("b", letter("a").data))
    scene.poll_fine()
    rename(scene)
    scene.arrive(StoredLetter("c", letter("a").data))
    assert scene.poll_fine().fetched == 1
    assert scene.delivered == ["a"] * 3
    assert scene.poll_fine().fetched == 0


def test_letters_read_under_the_former_name_are_left_alone(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True)
    scene.arrive("ours")
    scene.poll_fine()
    scene.arrive("read", flags=("\\Seen",))
    former = scene.rule.source
    source = SourceMailbox.objects.create(
        protocol="imap", host=former.host, port=former.port, user="p", folder="INBOX", recipient=former.recipient
    )
    SourceMailbox.objects.filter(pk=source.pk).update(continues=former)
    scene.server.user = "p"
    place(scene.rule, user="p", source=source)
    scene.poll_fine(keep=False)
    assert scene.delivered == ["ours"]
    assert len(scene.folder.uids) == 2
