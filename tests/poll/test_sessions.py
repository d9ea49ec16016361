"""A poll of several sessions: what is delivered is deleted for good now and then, and no server is visited for ever."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from fetchrules.errors import LoginUnsupported, RunOvertaken
from fetchrules.ledger import departures
from fetchrules.ledger import letters as ledger
from fetchrules.models import FetchRule, Letter, Run, SourceMailbox
from fetchrules.policy.planning import ToFetch
from fetchrules.poll.looking import Session, look
from fetchrules.poll.progress import Limits, Progress
from tests.poll.conftest import NewImapScene, NewScene, Scene
from tests.servers.maildrop import StoredLetter
from tests.servers.pop3 import Alter, Behaviour, Fault, Say, Step

NAMES = [f"letter-{number}" for number in range(10)]


@pytest.fixture
def limits() -> Limits:
    """Short sessions."""
    return Limits(checkpoint_letters=3, deletions_at_once=2)


def test_it_deletes_now_and_then_on_its_way_through_a_large_mailbox(scene: Scene) -> None:
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert (counts.found, counts.fetched, counts.deleted, counts.skipped) == (10, 10, 10, 0)
    assert scene.server.connections == 4
    assert scene.maildrop.uids == []
    assert set(Letter.objects.values_list("state", "fate")) == {("delivered", "deleted")}


def test_it_needs_one_session_where_nothing_is_deleted(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(*NAMES)
    assert scene.poll_fine().fetched == 10
    assert scene.server.connections == 1


def test_it_logs_in_by_the_way_that_the_rule_names(new_scene: NewScene, new_imap_scene: NewImapScene) -> None:
    announced = Behaviour(
        capabilities=("UIDL", "USER", "SASL PLAIN LOGIN"), logins=frozenset({"password", "PLAIN", "LOGIN"})
    )
    by_pop3, by_imap = new_scene(announced, auth="login"), new_imap_scene(auth="plain")
    for scene in (by_pop3, by_imap):
        scene.arrive("one")
        assert scene.poll_fine().fetched == 1
    assert [line for line in by_pop3.server.said if line.startswith(("USER", "AUTH"))] == ["AUTH LOGIN"]
    said = [line.split(" ")[:2] for line in by_imap.server.said if line.startswith(("LOGIN", "AUTHENTICATE"))]
    assert said == [["AUTHENTICATE", "PLAIN"]]


def test_it_says_no_password_where_the_server_does_not_know_that_way(new_scene: NewScene) -> None:
    scene = new_scene(auth="apop")
    assert isinstance(scene.poll().error, LoginUnsupported)
    assert not [line for line in scene.server.said if line.startswith(("USER", "APOP", "AUTH"))]


def test_it_fetches_no_more_than_its_limit_in_all_sessions_together(new_scene: NewScene) -> None:
    scene = new_scene(fetchlimit=5)
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert (counts.found, counts.fetched, counts.left) == (10, 5, {"fetchlimit": 5})


STUBBORN = {
    "says no": Fault(Step.QUIT, Say(b"-ERR [SYS/TEMP] not now\r\n"), nth=0),
    "says yes and means no": Fault(Step.QUIT, Say(b"+OK\r\n"), nth=0),
}


@pytest.mark.parametrize("fault", STUBBORN.values(), ids=STUBBORN)
def test_it_does_not_visit_a_server_for_ever_that_deletes_nothing(fault: Fault, new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(fault,)))
    scene.arrive(*NAMES)
    for _ in range(6):
        before = scene.server.connections
        scene.poll_fine()
        assert scene.server.connections - before <= len(NAMES)
    assert scene.delivered == NAMES, "what cannot be deleted holds up nothing that is new"
    scene.behave()
    for _ in range(4):
        scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (NAMES, [])


def test_it_puts_no_more_at_stake_once_a_goodbye_was_not_confirmed(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(STUBBORN["says no"],)))
    scene.arrive(*NAMES)
    assert scene.poll_fine().fetched == 3
    assert scene.server.connections == 1


def test_it_counts_what_arrives_while_it_is_at_work(new_scene: NewScene) -> None:
    def busy(answer: bytes) -> bytes:
        if len(scene.maildrop.letters) < 12:
            scene.arrive(f"more-{len(scene.maildrop.letters)}")
        return answer

    scene = new_scene(Behaviour(faults=(Fault(Step.QUIT, Alter(busy), nth=0),)))
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert counts.found == counts.fetched > 10


def test_it_goes_on_after_a_refusal_where_letters_have_no_names(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(capabilities=None, uidl=False, faults=(Fault(Step.RETR, Say(b"-ERR no\r\n")),)))
    scene.arrive(*NAMES)
    scene.poll_fine()
    assert len(scene.delivered) >= len(NAMES) - 1


def test_it_tries_a_refused_letter_once_in_a_poll(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(faults=(Fault(Step.RETR, Say(b"-ERR no\r\n")),)))
    scene.arrive(*NAMES)
    counts = scene.poll_fine()
    assert counts.found == counts.fetched + counts.held
    assert set(Letter.objects.filter(state="held").values_list("tries", flat=True)) == {1}


def test_it_begins_no_other_session_when_it_is_asked_to_stop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    original = departures.record_deleting

    def recording(*args: object) -> object:
        Run.objects.update(stop_asked=True)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(departures, "record_deleting", recording)
    scene.arrive(*NAMES)
    assert scene.poll_fine().fetched == 3
    assert scene.server.connections == 1


def test_it_ends_after_the_batch_in_hand_when_it_is_asked_to(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.limit(batch_letters=2)
    scene.behave(Behaviour().without("PIPELINING"))
    scene.arrive(*NAMES)
    original = ledger.record_ready

    def recording(*args: object, **kwargs: object) -> object:
        Run.objects.update(stop_asked=True)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "record_ready", recording)
    counts = scene.poll_fine()
    assert 0 < counts.fetched < 5
    assert len(scene.maildrop.uids) == 10 - counts.fetched, "what was delivered is deleted"


EDITS: dict[str, Callable[[FetchRule], object]] = {
    "edited": lambda rule: FetchRule.objects.filter(pk=rule.pk).update(revision=9),
    "switched to keep": lambda rule: FetchRule.objects.filter(pk=rule.pk).update(revision=9, keep=True),
    "deleted": lambda rule: FetchRule.objects.filter(pk=rule.pk).delete(),
    "abandoned": lambda rule: Run.objects.filter(rule=rule).update(state="abandoned", finished_at=rule.created_at),
}


@pytest.mark.parametrize("record", ["record_ready", "record_deleting"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_it_deletes_nothing_once_the_rule_is_another(
    edit: Callable[[FetchRule], object], record: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.arrive("a", "b", "c")
    room = departures if record == "record_deleting" else ledger
    original = getattr(room, record)

    def recording(*args: object, **kwargs: object) -> object:
        edit(scene.rule)
        return original(*args, **kwargs)

    monkeypatch.setattr(room, record, recording)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert scene.maildrop.uids == ["a", "b", "c"]
    assert scene.delivered == ([] if record == "record_ready" else ["a", "b", "c"])
    assert scene.staged == set()


def test_it_takes_back_what_it_asked_for_when_the_rule_becomes_another_meanwhile(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(Behaviour(commits_when_cut=True))
    scene.arrive("a", "b", "c")
    original, asked = departures.record_deleting, list[object]()

    def recording(*args: object) -> object:
        asked.append(args)
        if len(asked) == 2:
            FetchRule.objects.update(revision=9, keep=True)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(departures, "record_deleting", recording)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert len(asked) == 2
    assert scene.maildrop.uids == ["a", "b", "c"]


def test_it_fetches_all_once_in_a_poll_however_long_it_takes(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def recording(*args: object, **kwargs: object) -> object:
        now[0] += 1000
        assert now[0] < 100_000, "it never ends"
        return original(*args, **kwargs)  # type: ignore[arg-type]

    original = ledger.record_ready
    monkeypatch.setattr(ledger, "record_ready", recording)
    monkeypatch.setattr("fetchrules.poll.collecting.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("fetchrules.poll.looking.time", SimpleNamespace(monotonic=lambda: now[0]))
    scene = new_scene(Behaviour().without("PIPELINING"), keep=True, fetchall=True)
    scene.limit(batch_letters=2)
    scene.arrive(*NAMES)
    for times in (1, 2):
        counts = scene.poll_fine()
        assert (counts.found, counts.fetched) == (10, 10)
        assert scene.delivered == sorted(NAMES * times)


def test_it_deletes_the_rest_in_another_session_when_the_first_has_lasted_long_enough(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def recording(*args: object) -> object:
        now[0] += 1000
        return original(*args)  # type: ignore[arg-type]

    original = departures.record_deleting
    scene = new_scene(keep=True)
    scene.arrive(*NAMES)
    scene.poll_fine()
    monkeypatch.setattr(departures, "record_deleting", recording)
    monkeypatch.setattr("fetchrules.poll.collecting.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("fetchrules.poll.looking.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("fetchrules.poll.deleting.time", SimpleNamespace(monotonic=lambda: now[0]))
    before = scene.server.connections
    assert scene.poll_fine(flush=True).deleted == 10
    assert scene.server.connections - before == 5
    assert scene.maildrop.uids == []
    assert set(Letter.objects.values_list("fate", flat=True)) == {"deleted"}


def test_it_does_not_look_back_at_all_letters_for_each_that_it_asks_for(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(list[ToFetch]):
        looks = 0

        def __iter__(self) -> Iterator[ToFetch]:
            Asked.looks += 1
            return super().__iter__()

    def looking(rule: FetchRule, source: SourceMailbox, progress: Progress) -> Session:
        session = look(rule, source, progress)
        assert isinstance(session, Session)
        session.asked = Asked()
        return session

    monkeypatch.setattr("fetchrules.poll.run.look", looking)
    scene = new_scene(keep=True)
    scene.arrive(*NAMES)
    assert scene.poll_fine().fetched == len(NAMES)
    assert Asked.looks == 0


def test_letters_keep_the_time_of_their_arrival(scene: Scene) -> None:
    scene.arrive(StoredLetter("a", b"Received: by mx; Sat, 1 Feb 2020 08:00:00 +0000\r\nSubject: a\r\n\r\n"))
    scene.poll_fine()
    (path,) = (scene.mailbox / "new").iterdir()
    arrived = datetime(2020, 2, 1, 8, tzinfo=UTC)
    assert path.stat().st_mtime == arrived.timestamp()
    assert Letter.objects.get().received_at == arrived
