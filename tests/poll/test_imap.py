"""A mailbox that is read by IMAP, and a server that does not do all that it is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.errors import MaildirReplaced
from fetchrules.ledger import runs
from fetchrules.ledger.source_mailboxes import sources_of
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.poll.run import Result, poll
from tests.conftest import MakeRule
from tests.servers.faults import Alter, Fault, Say
from tests.servers.imap import PASSWORD, USER, Behaviour, Folder, ImapServer, Step
from tests.servers.maildrop import letter


@dataclass
class ImapScene:
    """The server's folder, a rule for it, and the Maildir that the rule fills."""

    server: ImapServer
    folder: Folder
    rule: FetchRule
    mailbox: Path

    def poll(self) -> Result:
        """Poll once."""
        self.rule.refresh_from_db()
        (run_id,) = runs.claim([self.rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(run_id)
        assert result is not None
        return result

    @property
    def delivered(self) -> list[bytes]:
        """What lies in new/, line ends as on the network."""
        return sorted(path.read_bytes().replace(b"\n", b"\r\n") for path in (self.mailbox / "new").glob("*"))


@pytest.fixture
def scene(make_rule: MakeRule, tmp_path: Path, settings: Settings) -> Iterator[ImapScene]:
    """An empty folder, and a rule that takes all out of it."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{local}}"
    folder = Folder()
    with ImapServer(folder) as server:
        place = {"server": "127.0.0.1", "port": server.port, "encryption": "plaintext", "timeout": 5}
        rule = make_rule(protocol="imap", user=USER, password=PASSWORD, recipient="petrov@mydomain.ru", **place)
        yield ImapScene(server, folder, rule, tmp_path / "petrov")


REFUSALS = {
    "with UIDPLUS": Behaviour(faults=(Fault(Step.UID_EXPUNGE, Say(b"{tag} NO [INUSE] not now\r\n")),)),
    "without": Behaviour(("IMAP4rev1",), faults=(Fault(Step.EXPUNGE, Say(b"{tag} NO [INUSE] not now\r\n")),)),
    "not even found": Behaviour(("IMAP4rev1",), faults=(Fault(Step.SEARCH, Say(b"{tag} NO not now\r\n")),)),
}


@pytest.mark.parametrize("behaviour", REFUSALS.values(), ids=REFUSALS)
def test_it_expunges_later_what_the_server_would_not_expunge(behaviour: Behaviour, scene: ImapScene) -> None:
    letters = [letter("one"), letter("two")]
    for data in letters:
        scene.folder.add(data)
    scene.server.behaviour = behaviour
    scene.poll()
    assert scene.folder.uids == [1, 2]
    scene.server.behaviour = Behaviour(behaviour.capabilities)
    scene.poll()
    assert (scene.folder.uids, scene.delivered) == ([], sorted(letters))


@pytest.mark.parametrize("most", [0, 300_000])
def test_it_collects_letters_of_whose_sizes_nothing_is_told(most: int, scene: ImapScene) -> None:
    letters = [letter(f"{number}", 700_000) for number in range(30)]
    for data in letters:
        scene.folder.add(data)
    silent = Alter(lambda answer: re.sub(rb"RFC822.SIZE \d+", b"RFC822.SIZE 0", answer))
    scene.server.behaviour = Behaviour(most=most, faults=(Fault(Step.LISTING, silent, nth=0),))
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([], sorted(letters))


def test_it_reads_the_other_folders_while_a_letter_of_the_first_cannot_be_finished(scene: ImapScene) -> None:
    scene.server.folders = {"A": Folder(), "B": Folder([letter("one")])}
    FetchRule.objects.update(folders=["A", "B"])
    scene.rule.refresh_from_db()
    waiting = {"state": "ready", "recipient": "gone@mydomain.ru", "directory": "another", "file_name": "1.waiting"}
    source = sources_of(scene.rule.as_rule(PASSWORD))[0]
    FetchRule.objects.update(source=source)
    Letter.objects.create(source=source, epoch=1, uid="1", size=1, first_seen_at=timezone.now(), **waiting)
    assert isinstance(scene.poll().error, MaildirReplaced)
    assert scene.delivered == [letter("one")]
