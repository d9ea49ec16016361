"""Only what has arrived since a day is collected at the first contact; older letters count as collected and stay on the server."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import ConnectionLost, DatesUnknown, NoUniqueIds, RemoteProtocolError, RunOvertaken
from fetchrules.ledger import by_hand, runs
from fetchrules.ledger import letters as ledger
from fetchrules.ledger.letters import Filing
from fetchrules.ledger.source_mailboxes import collect_since, folders_of
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.policy.planning import Why
from fetchrules.poll.dating import start_of
from fetchrules.poll.run import dry_run
from fetchrules.remote.mailbox import Listed
from fetchrules.remote.memory import ServerMemory
from tests.poll.conftest import ImapScene, NewImapScene, NewScene, Scene
from tests.servers import imap
from tests.servers.maildrop import ARRIVED, StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, LetterFault, Say, Step, Top

DAY = date(2026, 1, 1)
OLD, NEW = datetime(2019, 6, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

TREATMENTS: list[dict[str, Any]] = [
    {"keep": True},
    {"keep": True, "flush": True},
    {"keep": True, "fetchall": True},
    {"keep": False, "keepdays": 1},
    {"keep": False},
    {"keep": False, "flush": True},
    {"keep": False, "fetchall": True},
]


def trace(when: datetime) -> str:
    return f"Received: from a.example\r\n\tby b.example; {format_datetime(when)}\r\n"


def letter(name: str, *fields: str) -> StoredLetter:
    return StoredLetter(name, f"{''.join(fields)}From: a@example.org\r\nSubject: {name}\r\n\r\ntext\r\n".encode())


def old(name: str) -> StoredLetter:
    return letter(name, trace(OLD))


def new(name: str) -> StoredLetter:
    return letter(name, trace(NEW))


def ask(scene: Scene | ImapScene, day: date = DAY) -> None:
    """Only what has arrived since `day` is to be collected."""
    collect_since([scene.rule.source], day)
    scene.rule.refresh_from_db()


def test_an_empty_listing_ends_nothing(scene: Scene) -> None:
    """The server may have lost its index for a while."""
    letters = [old("a"), new("b")]
    ask(scene)
    scene.poll_fine(keep=False)
    scene.arrive(*letters)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["b"], ["a"])


@pytest.mark.parametrize("columns", TREATMENTS, ids=str)
def test_it_collects_what_is_new_and_never_deletes_what_is_older(columns: dict[str, Any], scene: Scene) -> None:
    scene.arrive(old("a"), new("b"), old("c"))
    ask(scene)
    counts = scene.poll_fine(**columns)
    assert (counts.found, counts.fetched, counts.left.get("present")) == (3, 1, 2)
    assert not SourceMailbox.objects.exclude(since=None).exists()
    scene.arrive(old("d"))
    for _ in range(2):
        scene.poll_fine()
    assert set(scene.delivered) == {"b", "d"}
    assert set(scene.maildrop.uids) >= {"a", "c"}


@pytest.mark.parametrize("columns", TREATMENTS, ids=str)
@pytest.mark.parametrize("flags", [(), ("\\Seen",)], ids=["unread", "read"])
def test_on_imap_it_goes_by_the_time_of_the_listing(
    columns: dict[str, Any], flags: tuple[str, ...], new_imap_scene: NewImapScene
) -> None:
    scene = new_imap_scene()
    scene.arrive("older", flags=flags)
    ask(scene, ARRIVED.date() + timedelta(days=1))
    assert scene.poll_fine(**columns).left == {"present": 1}
    scene.arrive("later")
    for _ in range(2):
        scene.poll_fine()
    assert set(scene.delivered) == {"later"}
    assert 1 in scene.folder.uids
    assert "TOP" not in str(scene.server.said)


@pytest.mark.parametrize("keep", [True, False])
def test_flush_deletes_no_letter_that_may_be_one_passed_over_under_another_name(
    keep: bool, new_imap_scene: NewImapScene
) -> None:
    scene = new_imap_scene(keep=keep, flush=True)
    scene.limit(headers=2)
    scene.arrive(*"abcde", flags=("\\Seen",))
    ask(scene, ARRIVED.date() + timedelta(days=1))
    scene.poll_fine()
    scene.renumber()
    for _ in range(3):
        scene.poll_fine()
    Letter.objects.exclude(missing_since=None).update(missing_since=timezone.now() - timedelta(days=40))
    for _ in range(2):
        scene.poll_fine()
    assert (scene.delivered, len(scene.folder.uids)) == ([], 5)


def test_on_imap_a_letter_of_that_day_is_new(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True)
    scene.arrive("a")
    ask(scene, ARRIVED.date())
    assert scene.poll_fine().fetched == 1


def test_the_day_begins_in_the_time_zone_of_the_settings(settings: Settings, scene: Scene) -> None:
    settings.TIME_ZONE = "Asia/Vladivostok"
    midnight = datetime(2025, 12, 31, 14, tzinfo=UTC)
    assert start_of(DAY) == midnight
    scene.arrive(letter("before", trace(midnight - timedelta(seconds=1))), letter("after", trace(midnight)))
    ask(scene)
    scene.poll_fine()
    assert scene.delivered == ["after"]


@pytest.mark.parametrize(
    ("fields", "is_new"),
    [
        ((trace(NEW), trace(OLD), f"Date: {format_datetime(OLD)}\r\n"), True),
        ((trace(OLD), trace(NEW), f"Date: {format_datetime(NEW)}\r\n"), False),
        ((f"Date: {format_datetime(OLD)}\r\n",), False),
        ((f"Date: {format_datetime(NEW)}\r\n",), True),
        ((), True),
        (("Date: yesterday\r\n",), True),
        ((f"Date: {format_datetime(datetime(2999, 1, 1, tzinfo=UTC))}\r\n",), True),
        ((trace(datetime(2999, 1, 1, tzinfo=UTC)), f"Date: {format_datetime(OLD)}\r\n"), True),
    ],
    ids=["new trace", "old trace", "old date", "new date", "no date", "no such date", "future", "future trace"],
)
def test_it_reads_the_time_from_the_header(fields: tuple[str, ...], is_new: bool, scene: Scene) -> None:
    scene.arrive(letter("a", *fields))
    ask(scene)
    assert scene.poll_fine().fetched == is_new


@pytest.mark.parametrize("keep", [True, False])
def test_it_asks_for_so_many_headers_in_one_session_and_goes_on_in_the_next(keep: bool, scene: Scene) -> None:
    scene.limit(headers=3)
    scene.arrive(*(old(f"a{number}") for number in range(5)), new("b"), old("c"), new("d"))
    ask(scene)
    counts = scene.poll_fine(keep=keep)
    assert (counts.found, counts.fetched, counts.left) == (8, 2, {"present": 6})
    assert (scene.server.connections, scene.delivered) == (3, ["b", "d"])
    asked = [line for line in scene.server.said if line.startswith("TOP")]
    assert len(asked) == 8, "no header twice"
    assert Letter.objects.filter(state="passed", head="").count() == 0
    run = Run.objects.get()
    assert (run.found, run.to_fetch) == (8, 2)


def test_it_holds_until_all_letters_are_dated_though_fetchlimit_is_reached(scene: Scene) -> None:
    scene.limit(headers=2)
    scene.arrive(new("a"), new("b"), old("c"), new("d"), old("e"))
    ask(scene)
    assert scene.poll_fine(keep=True, fetchlimit=1).left == {"present": 2, "fetchlimit": 2}
    assert SourceMailbox.objects.get().since is None
    for _ in range(3):
        scene.poll_fine()
    assert scene.delivered == ["a", "b", "d"]


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_killed_poll_has_not_looked_at_is_not_new(keep: bool, scene: Scene) -> None:
    scene.limit(headers=2)
    scene.arrive(old("a"), new("b"), old("c"), old("d"), new("e"))
    ask(scene)
    scene.behave(Behaviour(faults=(Fault(Step.QUIT, Alter(lambda answer: _down(scene, answer))),)))
    assert scene.poll(keep=keep).error is not None
    assert (scene.states["a"], SourceMailbox.objects.get().since) == ("passed", DAY)
    assert scene.delivered == ["b"]
    scene.behave()
    scene.poll_fine()
    assert scene.delivered == ["b", "e"]
    assert set(scene.maildrop.uids) >= {"a", "c", "d"}


def _down(scene: Scene, answer: bytes) -> bytes:
    """The server takes no session any more."""
    scene.behave(Behaviour(faults=(Fault(Step.GREETING, Cut()),)))
    return answer


@pytest.mark.parametrize("behaviour", [Behaviour(top=Top.UNKNOWN), Behaviour(top=Top.UNKNOWN).without("TOP")])
def test_it_refuses_where_no_header_can_be_had(behaviour: Behaviour, new_scene: NewScene) -> None:
    scene = new_scene(behaviour)
    scene.arrive(old("a"), new("b"))
    ask(scene)
    assert isinstance(scene.poll().error, DatesUnknown)
    assert (scene.delivered, scene.maildrop.uids) == ([], ["a", "b"])
    assert not Letter.objects.exists()
    scene.behave()
    scene.memory = ServerMemory()
    scene.poll_fine()
    assert scene.delivered == ["b"]


def test_a_letter_whose_header_is_refused_is_new(scene: Scene) -> None:
    scene.arrive(old("a"), new("b"), old("c"), old("d"))
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.TOP, "c", Say(b"-ERR no such letter\r\n")),)))
    ask(scene)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["b", "c"], ["a", "d"])


@pytest.mark.parametrize("headers", [1, 2, 3])
def test_a_refused_header_that_is_the_only_one_left_holds_nothing_up(headers: int, scene: Scene) -> None:
    scene.limit(headers=headers)
    scene.arrive(old("a"), new("b"), old("d"), old("c"))
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.TOP, "c", Say(b"-ERR no such letter\r\n")),)))
    ask(scene)
    scene.poll_fine(keep=True)
    assert (scene.delivered, SourceMailbox.objects.get().since) == (["b", "c"], None)


def test_a_letter_without_a_time_is_new_though_the_clock_was_ahead_when_the_day_was_chosen(scene: Scene) -> None:
    scene.arrive(letter("a"), letter("c"), old("b"))
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.TOP, "c", Say(b"-ERR no such letter\r\n")),)))
    ask(scene, timezone.localdate() + timedelta(days=2))
    scene.poll_fine(keep=True)
    assert scene.delivered == ["a", "c"]


def test_a_letter_over_whose_header_the_session_breaks_does_not_hold_up_the_others_for_ever(scene: Scene) -> None:
    scene.arrive(old("a"), new("b"), old("c"), new("d"))
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.TOP, "a", Cut()),)))
    ask(scene)
    assert isinstance(scene.poll().error, ConnectionLost)
    assert isinstance(scene.poll().error, ConnectionLost)
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "d"], ["c"])


def test_it_passes_nothing_over_when_the_listing_is_not_whole(scene: Scene) -> None:
    scene.arrive(old("a"), new("b"))
    ask(scene)
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Alter(lambda answer: answer.replace(b"+OK 2", b"+OK 3"))),)))
    assert isinstance(scene.poll().error, RemoteProtocolError)
    assert (scene.states, scene.delivered) == ({}, [])
    scene.behave()
    assert scene.poll_fine().left == {"present": 1}


def test_it_refuses_where_letters_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False))
    scene.arrive(old("a"))
    ask(scene)
    assert isinstance(scene.poll().error, NoUniqueIds)
    assert scene.maildrop.uids == ["a"]


def test_a_settled_mailbox_is_looked_at_again(scene: Scene) -> None:
    scene.arrive(new("a"))
    scene.poll_fine(keep=True)
    scene.poll_fine()
    assert SourceMailbox.objects.exclude(settled={}).exists()
    ask(scene)
    scene.poll_fine()
    assert SourceMailbox.objects.get().since is None


def test_it_fetches_them_after_all_when_told(scene: Scene) -> None:
    scene.arrive(old("a"), old("b"))
    ask(scene)
    scene.poll_fine()
    assert by_hand.take_up(by_hand.passed(folders_of(scene.rule.source))) == 2
    assert (scene.poll_fine().fetched, scene.maildrop.uids) == (2, [])


def test_it_passes_over_letters_under_new_names(scene: Scene) -> None:
    letters = [replace(old(f"a{number}"), data=old(f"a{number}").data * (number + 1)) for number in range(20)]
    scene.arrive(*letters)
    ask(scene)
    scene.poll_fine()
    scene.replace(*(StoredLetter(f"x{number}", one.data) for number, one in enumerate(letters)))
    for _ in range(2):
        scene.poll_fine()
    assert (scene.delivered, len(scene.maildrop.uids)) == ([], 20)


def test_it_says_so_in_a_dry_run_and_changes_nothing_by_it(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene()
    scene.arrive("a")
    ask(scene, ARRIVED.date() + timedelta(days=1))
    (plan,) = dry_run(scene.rule)
    assert [why for _, why in plan.left] == [Why.PRESENT]
    assert SourceMailbox.objects.get().since is not None
    assert not Letter.objects.exists()


@pytest.mark.parametrize("day", [DAY, timezone.localdate() + timedelta(days=2)], ids=["past", "clock was ahead"])
def test_a_letter_without_a_time_is_new_on_imap(day: date, new_imap_scene: NewImapScene) -> None:
    dateless = imap.Behaviour(faults=(Fault(imap.Step.LISTING, Alter(_without_date), nth=0),))
    scene = new_imap_scene(dateless)
    scene.arrive("a")
    ask(scene, day)
    assert scene.poll_fine().fetched == 1


def _without_date(answer: bytes) -> bytes:
    head, _, tail = answer.partition(b"INTERNALDATE ")
    return head + tail.partition(b'" ')[2] if tail else answer


@pytest.mark.parametrize("last", [True, False])
def test_it_passes_nothing_over_when_the_day_was_changed_meanwhile(last: bool, scene: Scene) -> None:
    ask(scene)
    source = scene.rule.source
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    run = runs.start(run_id, timezone.now())
    assert run is not None
    SourceMailbox.objects.update(since=date(2026, 1, 2))
    with pytest.raises(RunOvertaken):
        ledger.record_present(Filing(run, source, 0), [(Listed(1, "a", 100), "")], timezone.now(), last=last)
    assert not Letter.objects.exists()
