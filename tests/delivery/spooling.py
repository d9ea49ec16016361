"""What the tests of spooled mailboxes share."""

from threading import Event

from fetchrules.delivery.recipients import RootedPath
from fetchrules.delivery.spool import SpooledMailbox
from tests.delivery.test_maildir import staged
from tests.servers.faults import Alter
from tests.servers.lmtp import MailSink


def after(event: Event) -> Alter:
    """The right answer, as soon as this has happened."""
    return Alter(lambda answer: answer if event.wait(10) else b"")


def waiting_in(place: RootedPath) -> set[str]:
    return {path.name for path in place.path.iterdir()} - {"marker", "seal"}


def stage_some(spool: SpooledMailbox, *letters: bytes) -> list[str]:
    spool.prepare(1000)
    waiting = [staged(spool, letter, str(number)) for number, letter in enumerate(letters)]
    spool.staging.sync(waiting)
    return [letter.name for letter in waiting]


def bodies(sink: MailSink) -> list[bytes]:
    """The letters as they were before the trace was put before them."""
    return [taken.octets.partition(b"\r\nX-Collected-Id: ")[2].partition(b"\r\n")[2] for taken in sink.taken]
