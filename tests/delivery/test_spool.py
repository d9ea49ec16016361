"""Letters that wait in the spool for a mail server: each is sent once, whatever was interrupted."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from threading import Event

import pytest

from fetchrules.delivery import spool as sending
from fetchrules.delivery.dialogue import Handover, MailServer, Unanswered
from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox, UnderWay
from fetchrules.errors import (
    DiskFull,
    MailboxUnwritable,
    MaildirReplaced,
    RecipientInvalid,
)
from tests.delivery.conftest import RECIPIENT, OpenSpool, aged
from tests.delivery.spooling import after, bodies, stage_some, waiting_in
from tests.delivery.test_maildir import LETTER
from tests.servers.faults import Cut
from tests.servers.lmtp import END, MailSink
from tests.servers.loopback import LoopbackServer
from tests.waiting import until


def test_it_hands_over_the_letter_unchanged(spool: SpooledMailbox, sink: MailSink) -> None:
    letter = b"From: a@b\r\n\r\n.dots\r\n..\r\n\xd0\x9f\r\n"
    assert spool.commit(stage_some(spool, letter)) == {}
    assert bodies(sink) == [letter]


def test_it_empties_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    names = stage_some(spool, LETTER, LETTER)
    assert waiting_in(place) == set(names)
    spool.commit(names)
    assert waiting_in(place) == set()


def test_it_sends_nothing_twice_when_committing_again(spool: SpooledMailbox, sink: MailSink) -> None:
    names = stage_some(spool, LETTER)
    spool.commit(names)
    assert spool.commit(names) == {}
    assert len(sink.taken) == 1


def test_only_a_letter_that_waits_can_come_twice(spool: SpooledMailbox) -> None:
    names = stage_some(spool, LETTER, LETTER)
    assert spool.in_doubt(names) == names
    spool.commit(names)
    assert spool.in_doubt(names) == []


def test_it_sends_nothing_that_another_is_sending(open_spool: OpenSpool, sink: MailSink) -> None:
    slow, other, answer = open_spool(), open_spool(), Event()
    names = stage_some(slow, LETTER, LETTER)
    other.prepare(0)
    sink.faults = {(END, 1): after(answer)}
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(slow.commit, names)
        until(lambda: bool(sink.taken))
        assert {name: type(error) for name, error in other.commit(names).items()} == {names[0]: UnderWay}
        answer.set()
        assert sending.result() == {}
    assert other.commit(names) == {}
    assert len(sink.taken) == 2


def test_it_sends_nothing_that_another_sent_while_it_opened_the_file(
    open_spool: OpenSpool, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = open_spool(), open_spool()
    names = stage_some(slow, LETTER)
    other.prepare(0)
    lock = sending._lock

    def locking_late(file: FileIO) -> None:
        monkeypatch.setattr(sending, "_lock", lock)
        assert other.commit(names) == {}
        lock(file)

    monkeypatch.setattr(sending, "_lock", locking_late)
    assert slow.commit(names) == {}
    assert len(sink.taken) == 1


def test_it_looks_for_room_before_asking(server: LoopbackServer, place: RootedPath) -> None:
    spool = SpooledMailbox(MailServer(Handover.LMTP, "127.0.0.1", server.port), RECIPIENT, place, reserve=1 << 60)
    with pytest.raises(DiskFull):
        spool.prepare(0)
    spool.close()
    assert server.connections == 0


def test_it_refuses_a_recipient_that_cannot_be_one(place: RootedPath) -> None:
    with pytest.raises(RecipientInvalid):
        SpooledMailbox(MailServer(Handover.LMTP), "a>\r\nRSET@x", place)


def test_it_sends_the_same_octets_when_it_has_to_send_again(spool: SpooledMailbox, sink: MailSink) -> None:
    sink.faults = {(END, 1): Cut(done=True)}
    names = stage_some(spool, LETTER)
    assert isinstance(spool.commit(names)[names[0]], Unanswered)
    assert spool.commit(names) == {}
    assert sink.taken[0] == sink.taken[1]


def test_it_sends_what_a_crash_left(open_spool: OpenSpool, sink: MailSink) -> None:
    before = open_spool()
    names = stage_some(before, LETTER, LETTER)
    before.commit(names[:1])
    before.close()
    after = open_spool(before.staging.marker)
    after.prepare(0)
    assert after.commit(names) == {}
    assert len(sink.taken) == 2


def test_it_concludes_and_sends_nothing_from_another_spool(
    open_spool: OpenSpool, place: RootedPath, sink: MailSink
) -> None:
    before = open_spool()
    names = stage_some(before, LETTER)
    place.path.rename(place.path.with_name("old"))
    with pytest.raises(MaildirReplaced):
        before.commit(names)
    with pytest.raises(MaildirReplaced):
        before.prepare(0)
    with pytest.raises(MaildirReplaced):
        open_spool(before.staging.marker).prepare(0)
    assert sink.taken == []


def test_it_concludes_nothing_when_the_spool_goes_during_the_commit(
    spool: SpooledMailbox, place: RootedPath, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = stage_some(spool, LETTER)
    carry = sending.Courier.carry

    def carrying(self: sending.Courier, names: list[str]) -> object:
        shutil.rmtree(place.path)
        return carry(self, names)

    monkeypatch.setattr(sending.Courier, "carry", carrying)
    with pytest.raises(MaildirReplaced):
        spool.commit(names)
    assert sink.taken == []


def test_it_gives_up_a_letter_whose_file_cannot_be_read(
    spool: SpooledMailbox, sink: MailSink, place: RootedPath, tmp_path: Path
) -> None:
    names = stage_some(spool, LETTER, LETTER)
    (place.path / names[0]).unlink()
    (place.path / names[0]).symlink_to(tmp_path)
    failures = spool.commit(names)
    assert {name: type(error) for name, error in failures.items()} == {names[0]: MailboxUnwritable}
    assert len(sink.taken) == 1


def test_it_tells_a_copy_of_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    (name,) = stage_some(spool, LETTER)
    (place.path / "seal").unlink()
    with pytest.raises(MaildirReplaced):
        spool.staging.seal([name, f"{name}.another"])
    spool.staging.seal([name])
    assert spool.staging.sealed


def test_it_finds_leftovers_in_the_spool(spool: SpooledMailbox, place: RootedPath) -> None:
    name, _young = stage_some(spool, LETTER, LETTER)
    old = aged(place.path, name)
    assert spool.staging.leftovers() == [old]
