"""A server that puts an mbox line in front of its letters, as some do that keep mail in such files."""

from pathlib import Path

import pytest
from pytest_django import Settings

from fetchrules.delivery.fingerprint import Fingerprint
from fetchrules.models import Letter
from tests.poll.conftest import NewImapScene, NewScene, Reader, letter
from tests.servers.lmtp import MailSink, serving
from tests.servers.maildrop import StoredLetter

LINE = b"From sender@example.org Sat Feb  1 11:00:00 2020\r\n"
A = letter("a")
WITH_LINE = StoredLetter("a", LINE + A.data)


def files(scene: Reader) -> list[bytes]:
    return [path.read_bytes() for path in (scene.mailbox / "new").iterdir()]


def print_of(octets: bytes) -> str:
    fingerprint = Fingerprint()
    fingerprint.update(octets)
    return fingerprint.hexdigest()


def test_a_pop3_letter_is_delivered_without_it(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.arrive(WITH_LINE)
    scene.poll_fine()
    assert files(scene) == [A.data.replace(b"\r\n", b"\n")]
    row = Letter.objects.get()
    assert (row.fingerprint, row.octets) == (print_of(WITH_LINE.data), len(WITH_LINE.data))
    assert (row.sender, row.subject) == ("sender@example.org", "a")


def test_an_imap_letter_is_delivered_without_it(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene()
    scene.folder.add(WITH_LINE.data)
    scene.poll_fine()
    assert files(scene) == [A.data.replace(b"\r\n", b"\n")]


def test_a_letter_is_known_again_by_what_was_received(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive(WITH_LINE)
    scene.poll_fine()
    scene.replace(StoredLetter("another name", WITH_LINE.data))
    assert scene.poll_fine().left == {"seen": 1}
    assert scene.delivered == ["a"]


def test_a_mail_server_gets_the_letter_without_it(new_scene: NewScene, settings: Settings, tmp_path: Path) -> None:
    sink = MailSink()
    with serving(sink) as server:
        settings.DATA_DIR = tmp_path
        settings.UTM_MAIL_DELIVERY = f"lmtp://127.0.0.1:{server.port}"
        scene = new_scene()
        scene.arrive(WITH_LINE)
        scene.poll_fine()
    (taken,) = sink.taken
    assert LINE.rstrip() not in taken.octets
    assert taken.octets.endswith(A.data)


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: no separator\r\n",
        b"no header\r\n",
        b"\r\nnothing but a body\r\n",
        b"Subject: a NUL\r\n\r\na\0b\r\n",
        b"Subject: a bare CR\r\n\r\na\rb\r\r\n",
    ],
)
def test_odd_letters_are_delivered_as_they_came(data: bytes, new_scene: NewScene) -> None:
    scene = new_scene()
    scene.arrive(StoredLetter("odd", data))
    scene.poll_fine()
    assert files(scene) == [data.replace(b"\r\n", b"\n")]
