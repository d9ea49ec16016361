"""A poll that is to end while one letter comes: the server alone says how long that is, and may send without end."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection, connections
from django.utils import timezone

from fetchrules.errors import RunOvertaken
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run, ServiceSettings
from fetchrules.policy.planning import Why
from fetchrules.policy.table import RESTRICTED_LIMIT
from fetchrules.poll.keeping import Keeper
from fetchrules.poll.progress import Limits
from fetchrules.poll.run import poll
from fetchrules.remote.account import Deadlines
from tests.poll.conftest import ImapScene, NewImapScene, NewScene, Reader, Scene, letter
from tests.servers import imap
from tests.servers.faults import Fault, Flood, Say, Stall
from tests.servers.pop3 import Behaviour, Step
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SMALL, LARGE = letter("a"), letter("b")
SLOWLY = Flood(b"x" * 998 + b"\r\n", b"+OK\r\nSubject: b\r\n\r\n", pause=0.01)
"""100 kB/s: a test that fails fills no disk."""


@pytest.fixture(autouse=True)
def file(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """The database lies in a file: one in memory refuses a thread that comes while another writes, and lets it not wait."""
    path, memory = tmp_path / "utm-mail.sqlite3", connection.settings_dict["NAME"]
    connection.ensure_connection()
    kept = connection.connection
    with closing(sqlite3.connect(path)) as made:
        kept.backup(made)
    connection.settings_dict["NAME"], connection.connection = str(path), None
    yield
    connection.close()
    connection.settings_dict["NAME"], connection.connection = memory, kept


@pytest.fixture
def limits() -> Limits:
    """Those of polls that look often."""
    return Limits(renew_seconds=0.05, deadlines=Deadlines(alive=0.05))


@pytest.fixture(autouse=True)
def hurry(file: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often."""
    keeper = Keeper(0.05)
    monkeypatch.setattr("fetchrules.poll.run.KEEPER", keeper)
    yield
    until(lambda: keeper._thread is None)


def two_letters(new_scene: NewScene) -> Scene:
    """A POP3 server with a small letter and one without end."""
    sizes = f"+OK\r\n1 {len(SMALL.data)}\r\n2 1000000\r\n.\r\n".encode()
    scene = new_scene(Behaviour(faults=(Fault(Step.LIST, Say(sizes)), Fault(Step.RETR, SLOWLY, nth=2))), timeout=60)
    scene.arrive(SMALL, LARGE)
    return scene


def ended(scene: Reader, end: Callable[[FetchRule], object], begun: Callable[[], object]) -> Run | None:
    """Poll in a thread, as a worker does; `end` it once it has `begun`; its run, if that is still there."""
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)

    def work() -> None:
        poll(run_id, limits=scene.limits)
        connections.close_all()

    worker = Thread(target=work)
    worker.start()
    until(begun)
    end(scene.rule)
    worker.join(30)
    assert not worker.is_alive(), "it goes on"
    return Run.objects.filter(id=run_id).first()


def ask_to_stop(rule: FetchRule) -> None:
    assert runs.ask_to_stop(Run.objects.get(rule=rule).id)


def switch_off(rule: FetchRule) -> None:
    FetchRule.objects.filter(id=rule.id).update(enabled=False)


STOPS = {"asked to stop": ask_to_stop, "switched off": switch_off}
LOSSES: dict[str, Callable[[FetchRule], object]] = {
    "changed": lambda rule: FetchRule.objects.filter(id=rule.id).update(revision=9),
    "deleted": lambda rule: FetchRule.objects.filter(id=rule.id).delete(),
    "taken for dead": lambda _: Run.objects.update(state=Run.State.ABANDONED, finished_at=timezone.now()),
    "gone": lambda _: Run.objects.all().delete(),
}


def large_letter_comes() -> bool:
    """Whether more has come than the small letter."""
    return Run.objects.filter(octets__gt=2 * len(SMALL.data)).exists()


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_it_stops_in_the_middle_of_a_letter_and_keeps_those_that_are_whole(
    stop: Callable[[FetchRule], object], new_scene: NewScene
) -> None:
    scene = two_letters(new_scene)
    run = ended(scene, stop, large_letter_comes)
    assert run is not None
    assert (run.state, run.error, run.fetched, run.deleted) == (Run.State.DONE, "", 1, 0)
    assert (scene.delivered, scene.staged, scene.maildrop.uids) == (["a"], set(), ["a", "b"])
    scene.rule.refresh_from_db()
    assert scene.rule.next_poll_at is not None
    assert scene.rule.next_poll_at - timezone.now() > timedelta(minutes=1), "it would begin again at once"
    scene.behave()
    scene.poll_fine(enabled=True)
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b"], [])


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_it_ends_in_the_middle_of_a_letter_that_is_no_longer_its_own(
    lose: Callable[[FetchRule], object], new_scene: NewScene
) -> None:
    scene = two_letters(new_scene)
    run = ended(scene, lose, large_letter_comes)
    assert run is None or run.finished_at is not None
    assert (scene.delivered, scene.staged, scene.maildrop.uids) == ([], set(), ["a", "b"])
    assert not Run.objects.filter(finished_at__isnull=True).exists(), "its mailbox is free"


@pytest.fixture
def endless(new_imap_scene: NewImapScene) -> ImapScene:
    """A folder with a small letter and one that hardly ends."""
    flood = Flood(b"x" * 998 + b"\r\n", b"* 2 FETCH (UID 2 BODY[] {99999999}\r\n", pause=0.01)
    scene = new_imap_scene(imap.Behaviour(faults=(Fault(imap.Step.FETCH, flood, nth=2),)), timeout=60)
    scene.arrive("a", "b")
    return scene


@pytest.mark.parametrize("end", [*STOPS.values(), LOSSES["deleted"]], ids=[*STOPS, "deleted"])
def test_it_ends_in_the_middle_of_an_imap_letter(end: Callable[[FetchRule], object], endless: ImapScene) -> None:
    run = ended(endless, end, large_letter_comes)
    assert run is not None
    assert run.finished_at is not None
    assert run.error == (RunOvertaken.code if run.rule is None else "")
    assert endless.delivered == (["a"] if run.state == Run.State.DONE else [])
    assert (endless.staged, endless.folder.uids) == (set(), [1, 2])


DRIPPING = Flood(b"x" * 500, b"* 1 FETCH (UID 1 BODY[] {1048576}\r\n", pause=0.02)


@pytest.mark.parametrize("silence", [Stall(), DRIPPING], ids=["silent", "dripping"])
@pytest.mark.parametrize("end", [*STOPS.values(), LOSSES["deleted"]], ids=[*STOPS, "deleted"])
def test_it_ends_while_it_waits_for_an_imap_letter(
    end: Callable[[FetchRule], object], silence: Stall | Flood, new_imap_scene: NewImapScene
) -> None:
    scene = new_imap_scene(imap.Behaviour(faults=(Fault(imap.Step.FETCH, silence),)), timeout=60)
    scene.arrive("a")
    run = ended(scene, end, lambda: any(line.startswith("UID FETCH") for line in scene.server.said))
    assert run is not None
    assert run.finished_at is not None
    assert run.error == (RunOvertaken.code if run.rule is None else "")
    assert (scene.delivered, scene.folder.uids) == ([], [1])


def test_it_fetches_no_giant_letter_for_a_rule_that_is_restricted(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = f"+OK\r\n1 {len(SMALL.data)}\r\n2 {RESTRICTED_LIMIT + 1}\r\n.\r\n".encode()
    scene = new_scene(Behaviour(faults=(Fault(Step.LIST, Say(sizes)),)), restricted=True, limit=10**10)
    monkeypatch.setattr("fetchrules.poll.looking.MAIL_PORTS", frozenset({scene.server.port}))
    ServiceSettings.current()
    ServiceSettings.objects.update(owner_networks="127.0.0.0/8")
    scene.arrive(SMALL, LARGE)
    counts = scene.poll_fine()
    assert (counts.fetched, counts.left) == (1, {Why.TOO_LARGE.value: 1})
    assert (scene.delivered, scene.maildrop.uids) == (["a"], ["b"])
    assert scene.poll_fine(restricted=False).fetched == 1


def test_it_opens_no_further_folder_once_it_was_asked_to_stop(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(folders=["A", "B"])
    scene.server.folders = {name: imap.Folder([letter(name).data]) for name in scene.rule.folders}
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    runs.ask_to_stop(run_id)
    result = poll(run_id)
    assert result is not None
    assert (result.error, scene.server.connections) == (None, 1)
