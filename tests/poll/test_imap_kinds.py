"""Whole polls of IMAP servers that have their own idea of what becomes of a letter."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.demo.maildrop import Held
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.policy.known import State
from fetchrules.poll.run import poll
from tests.conftest import MakeRule
from tests.servers.faults import Alter, Fault
from tests.servers.imap import Behaviour, Folder, ImapServer, Step

pytestmark = pytest.mark.django_db

LETTERS = [b"Subject: %d\r\n\r\nletter %d\r\n" % (number, number) for number in range(3)]

NewRule = Callable[..., FetchRule]


class Archive(Folder):
    """Gmail's "[Gmail]/Вся почта", and any folder of an account that archives instead of expunging: nothing leaves it.

    `forgets`: the flag does.
    """

    def __init__(self, letters: Iterable[bytes], *, forgets: bool) -> None:
        super().__init__(letters)
        self._forgets = forgets

    def remove(self, letters: Iterable[Held]) -> None:
        """Keep them all."""
        if self._forgets:
            self.change_flags([letter.uid for letter in letters], lambda _: frozenset())


@pytest.fixture
def delivered(tmp_path: Path, settings: Settings) -> Callable[[], int]:
    """How many letters have arrived."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/{{domain}}/{{local}}"
    return lambda: len([*tmp_path.glob("*/*/new/*")])


@pytest.fixture
def new_rule(make_rule: MakeRule) -> Callable[..., FetchRule]:
    """A rule that empties the server's folder."""

    def make(server: ImapServer, **columns: object) -> FetchRule:
        place = {"server": "127.0.0.1", "port": server.port, "protocol": "imap", "user": "petrov"}
        return make_rule(**{**place, "encryption": "plaintext", **columns})

    return make


def poll_once(rule: FetchRule) -> runs.Counts:
    rule.refresh_from_db()
    (run_id,) = runs.claim([rule], timezone.now(), Run.Cause.COMMAND)
    result = poll(run_id)
    assert result is not None
    assert result.error is None
    return result.counts


@pytest.mark.parametrize("forgets", [True, False])
@pytest.mark.parametrize("capabilities", ["UIDPLUS", "X"])
def test_it_fetches_nothing_twice_from_where_nothing_can_be_deleted(
    new_rule: NewRule, delivered: Callable[[], int], forgets: bool, capabilities: str
) -> None:
    archive = Archive(LETTERS, forgets=forgets)
    folders = {"INBOX": Folder(), "[Gmail]/&BBIEQQRP- &BD8EPgRHBEIEMA-": archive}
    with ImapServer(folders, Behaviour(capabilities=("IMAP4rev1", capabilities))) as server:
        rule = new_rule(server, folders=["[Gmail]/Вся почта"])
        counts = [poll_once(rule) for _ in range(4)]
    assert [one.fetched for one in counts] == [3, 0, 0, 0]
    assert delivered() == 3


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_it_passes_over_a_letter_that_goes_meanwhile(
    new_rule: NewRule, delivered: Callable[[], int], size: int
) -> None:
    folder = Folder([LETTERS[0], b"Subject: in a hurry\r\n\r\n" + b"x" * size, LETTERS[2]])

    def go(answer: bytes) -> bytes:
        folder.flag(2, "\\Deleted")
        folder.expunge([2])
        return answer

    with ImapServer(folder, Behaviour(faults=(Fault(Step.LISTING, Alter(go)),))) as server:
        rule = new_rule(server)
        assert (poll_once(rule).fetched, poll_once(rule).found) == (2, 0)
    assert delivered() == 2
    assert not Letter.objects.filter(state=State.HELD).exists()


def test_it_holds_the_one_letter_that_exchange_cannot_give(new_rule: NewRule, delivered: Callable[[], int]) -> None:
    kind = Behaviour(refuses={2: "BAD Command Error. 10"}).without("UIDPLUS")
    with ImapServer(Folder(LETTERS), kind) as server:
        counts = poll_once(new_rule(server))
        assert (counts.fetched, counts.held, counts.deleted) == (2, 1, 2)
        assert server.folders["INBOX"].uids == [2]
    (held,) = Letter.objects.filter(state=State.HELD)
    assert (held.uid, held.reason, held.detail) == ("2", "server_refused", "Command Error. 10")
