"""Odd POP3 servers, met by whole polls: what is odd about one line or one answer costs no letter, and no mailbox."""

from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.errors import ConnectionLost, RemoteProtocolError, ServerRefused, ServerTemporary, TimedOut
from fetchrules.ledger.departures import FORGET_AFTER
from fetchrules.models import Letter, Run, SourceMailbox
from fetchrules.remote.account import ServerKey
from tests.poll.conftest import NewScene, Scene
from tests.servers.loopback import Peer
from tests.servers.pop3 import Alter, Behaviour, Cut, Fault, Say, Step

ODD_LINES = {
    "blank": b"2 \r\n",
    "none": b"2\r\n",
    "blanks in it": b"2 a name with blanks\r\n",
    "a control character": b"2 \x05\r\n",
    "endless": b"2 " + b"x" * 1100 + b"\r\n",
}
RULES: tuple[dict[str, object], ...] = (
    {},
    {"keep": True},
    {"keep": True, "flush": True},
    {"keep": True, "keepdays": 3},
)


def naming_two(line: bytes) -> Behaviour:
    """A server whose unique-id of the letter `two` is another."""
    return Behaviour(faults=(Fault(Step.UIDL, Alter(lambda answer: answer.replace(b"2 two\r\n", line))),))


def a_day_later() -> None:
    """Let a day pass for what was missed."""
    for row in Letter.objects.exclude(missing_since=None):
        assert row.missing_since is not None
        Letter.objects.filter(id=row.id).update(missing_since=timezone.now() - FORGET_AFTER - timedelta(minutes=1))


@pytest.mark.parametrize("columns", RULES, ids=str)
@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_it_collects_each_letter_once_whatever_one_of_them_is_called(
    line: bytes, columns: dict[str, object], new_scene: NewScene
) -> None:
    scene = new_scene(naming_two(line), **columns)
    scene.arrive("one", "two", "three")
    for _ in range(4):
        scene.poll_fine()
        a_day_later()
    assert scene.delivered == ["one", "three", "two"]
    scene.arrive("four")
    scene.poll_fine()
    assert scene.delivered == ["four", "one", "three", "two"]
    assert bool(scene.maildrop.uids) == bool(columns)


@pytest.mark.parametrize("columns", RULES[:2], ids=str)
def test_it_knows_a_letter_again_that_loses_its_name_and_gets_it_back(
    columns: dict[str, object], new_scene: NewScene
) -> None:
    scene = new_scene(**columns)
    scene.arrive("one", "two", "three")
    for behaviour in (naming_two(b"2 \r\n"), Behaviour()) * 2:
        scene.behave(behaviour)
        scene.poll_fine()
        a_day_later()
    assert scene.delivered == ["one", "three", "two"]


def test_it_collects_two_letters_without_a_name(new_scene: NewScene) -> None:
    nameless = Alter(lambda answer: answer.replace(b"2 two\r\n", b"2\r\n").replace(b"3 three\r\n", b"3 \r\n"))
    scene = new_scene(Behaviour(faults=(Fault(Step.UIDL, nameless),)), keep=True)
    scene.arrive("one", "two", "three")
    for _ in range(3):
        scene.poll_fine()
    assert scene.delivered == ["one", "three", "two"]


def test_it_leaves_a_letter_without_a_name_where_it_is_until_it_is_given(scene: Scene) -> None:
    refused = Fault(Step.RETR, Say(b"-ERR not now\r\n"), nth=3)
    scene.behave(Behaviour(faults=(*naming_two(b"2 \r\n").faults, refused)))
    scene.arrive("one", "two", "three")
    assert scene.poll_fine().held == 1
    assert (scene.delivered, scene.maildrop.uids) == (["one", "three"], ["two"])
    scene.behave(naming_two(b"2 \r\n"))
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["one", "three", "two"], [])


NO = Say(b"-ERR no messages\r\n")
REFUSALS = {
    "UIDL": (Fault(Step.UIDL, NO),),
    "LIST": (Fault(Step.LIST, NO),),
    "both": (Fault(Step.UIDL, NO), Fault(Step.LIST, NO)),
}


@pytest.mark.parametrize("columns", RULES[1:], ids=str)
@pytest.mark.parametrize("faults", REFUSALS.values(), ids=REFUSALS)
def test_it_takes_a_refusal_to_list_no_letters_for_a_list_of_none(
    faults: tuple[Fault, ...], columns: dict[str, object], new_scene: NewScene
) -> None:
    scene = new_scene(**columns)
    scene.arrive("one")
    scene.poll_fine()
    scene.maildrop.commit(scene.maildrop.letters)
    scene.behave(Behaviour(faults=faults))
    for _ in range(3):
        assert scene.poll_fine().found == 0
        a_day_later()
    assert not Letter.objects.exclude(forgotten_at=None).exists(), "no list of none proves anything"
    scene.behave()
    scene.arrive("one", "two")
    scene.poll_fine()
    assert scene.delivered == ["one", "two"]


@pytest.mark.parametrize("faults", REFUSALS.values(), ids=REFUSALS)
def test_it_takes_the_first_letter_for_a_new_one_where_none_lay_before(
    faults: tuple[Fault, ...], new_scene: NewScene
) -> None:
    scene = new_scene(Behaviour(faults=faults), keep=True)
    SourceMailbox.objects.update(pass_present=True)
    scene.poll_fine()
    scene.behave()
    scene.arrive("one")
    scene.poll_fine()
    assert scene.delivered == ["one"]


@pytest.mark.parametrize("faults", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(
    "stat", [b"+OK 1 10\r\n", b"+OK none\r\n", b"-ERR\r\n", b"+OK 0 0\r\n"], ids=["one", "words", "-ERR", "none"]
)
def test_it_believes_no_refusal_to_list_that_is_contradicted_or_has_another_reason(
    stat: bytes, faults: tuple[Fault, ...], scene: Scene
) -> None:
    if stat == b"+OK 0 0\r\n":
        faults = tuple(Fault(fault.step, Say(b"-ERR [SYS/TEMP] later\r\n")) for fault in faults)
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Say(stat)), *faults)))
    assert isinstance(scene.poll().error, ServerRefused | ServerTemporary)


def test_it_believes_a_list_rather_than_a_count_and_a_refusal(scene: Scene) -> None:
    scene.arrive("one")
    scene.behave(Behaviour(faults=(Fault(Step.STAT, Say(b"+OK 0 0\r\n")), Fault(Step.UIDL, NO))))
    assert isinstance(scene.poll().error, ServerRefused)


@pytest.mark.parametrize("step", [Step.UIDL, Step.LIST])
def test_it_does_not_quote_a_password_out_of_a_listing(
    step: Step, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.behave(Behaviour(faults=(Fault(step, Say(b"+OK\r\n1 1\r\nunknown command PASS petrovpasswd\r\n.\r\n")),)))
    error = scene.poll().error
    assert isinstance(error, RemoteProtocolError)
    assert "line 2" in str(error)
    run = Run.objects.get()
    assert "petrovpasswd" not in f"{error} {caplog.text} {run.detail} {run.transcript}"


@pytest.mark.parametrize("first", ["USER", "RETR", "DELE"])
def test_it_gets_by_where_pipelining_is_announced_and_all_but_one_command_a_read_is_dropped(
    first: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_line(peer: Peer) -> bytes:
        line = read_whole(peer)
        if line.startswith(first.encode()):
            peer._unread = b""
        return line

    read_whole = Peer.read_line
    monkeypatch.setattr(Peer, "read_line", read_line)
    scene.arrive(*"abcdef")
    assert [type(scene.poll().error) for _ in range(2)] == [TimedOut, TimedOut]
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (list("abcdef"), [])
    scene.arrive("g", "h")
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (list("abcdefgh"), [])


def test_it_goes_on_pipelining_after_a_connection_that_broke(scene: Scene) -> None:
    key = ServerKey(scene.server.host, scene.server.port, tls=False)
    for letters in ("abcdef", "ghijkl", "mnopqr"):
        scene.arrive(*letters)
        scene.behave(Behaviour(faults=(Fault(Step.RETR, Cut(), nth=2),)))
        assert isinstance(scene.poll().error, ConnectionLost)
        scene.behave()
        scene.poll_fine()
    assert scene.delivered == list("abcdefghijklmnopqr")
    assert scene.memory.capabilities.trusts(key)
