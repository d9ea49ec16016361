"""The folders of a rule: one connection serves them all, and none has to wait for another."""

from dataclasses import replace

import pytest

from fetchrules.errors import ConnectionLost, FolderMissing, LoginRefused, TimedOut
from fetchrules.models import FetchRule
from fetchrules.poll.progress import Limits
from fetchrules.remote.account import Deadlines
from tests.poll.conftest import ImapScene, NewImapScene
from tests.servers import imap
from tests.servers.faults import Action, Alter, Cut, Fault, Say, Stall
from tests.servers.imap import Step
from tests.servers.loopback import Hangup
from tests.servers.maildrop import Folder, letter

pytestmark = pytest.mark.django_db


def with_folders(new_imap_scene: NewImapScene, *faults: Fault, **columns: object) -> ImapScene:
    """A, B and C, with a letter in each."""
    scene = new_imap_scene(replace(imap.Behaviour(), faults=faults), **columns)
    scene.server.folders = {name: Folder([letter(name)]) for name in "ABC"}
    FetchRule.objects.update(folders=["A", "B", "C"])
    scene.rule.refresh_from_db()
    return scene


def test_one_connection_serves_them_all(new_imap_scene: NewImapScene) -> None:
    scene = with_folders(new_imap_scene)
    scene.poll_fine()
    assert scene.delivered == ["A", "B", "C"]
    assert scene.server.connections == 1
    assert [line.split()[0] for line in scene.server.said if line.startswith(("LOGIN", "LOGOUT"))] == [
        "LOGIN",
        "LOGOUT",
    ]


@pytest.mark.parametrize(
    ("step", "action", "error"),
    [
        (Step.SELECT, Stall(), TimedOut),
        (Step.LISTING, Cut(), ConnectionLost),
        (Step.FETCH, Cut(), ConnectionLost),
    ],
)
def test_a_folder_in_which_the_session_breaks_costs_the_others_nothing(
    step: Step, action: Action, error: type[Exception], new_imap_scene: NewImapScene
) -> None:
    scene = with_folders(new_imap_scene, Fault(step, action, nth=2))
    scene.limits = Limits(deadlines=Deadlines(listing=1))
    assert isinstance(scene.poll().error, error)
    assert scene.delivered == ["A", "C"]
    assert scene.server.connections == 2
    scene.behave()
    scene.poll()
    assert scene.delivered == ["A", "B", "C"]


def test_a_connection_that_is_lost_between_folders_costs_nothing(new_imap_scene: NewImapScene) -> None:
    scene = with_folders(new_imap_scene, Fault(Step.SELECT, Cut(), nth=2))
    scene.poll_fine()
    assert scene.delivered == ["A", "B", "C"]
    assert scene.server.connections == 3  # every one of them is lost at its second folder


def test_a_folder_that_breaks_every_session_costs_the_others_nothing(new_imap_scene: NewImapScene) -> None:
    scene = with_folders(new_imap_scene)

    def hang_up(answer: bytes) -> bytes:
        if scene.server.said[-1] == 'SELECT "B"':
            raise Hangup
        return answer

    scene.behave(imap.Behaviour(faults=(Fault(Step.SELECT, Alter(hang_up), nth=0),)))
    assert isinstance(scene.poll().error, ConnectionLost)
    assert scene.delivered == ["A", "C"]
    assert scene.server.connections == 3
    scene.behave()
    scene.poll()
    assert scene.delivered == ["A", "B", "C"]


def test_a_folder_that_is_missing_costs_the_others_nothing(new_imap_scene: NewImapScene) -> None:
    scene = with_folders(new_imap_scene)
    del scene.server.folders["A"]
    result = scene.poll()
    assert isinstance(result.error, FolderMissing)
    assert result.error.folders == ("B", "C")
    assert scene.delivered == ["B", "C"]
    assert scene.server.connections == 1


def test_a_refused_login_is_tried_for_one_folder_only(new_imap_scene: NewImapScene) -> None:
    scene = with_folders(new_imap_scene, Fault(Step.LOGIN, Say(b"{tag} NO no\r\n"), nth=0))
    assert isinstance(scene.poll().error, LoginRefused)
    assert scene.server.connections == 1


def test_a_new_session_after_many_deletions_needs_no_new_login(new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene()
    scene.limits = Limits(checkpoint_letters=3)
    scene.arrive(*(f"letter-{number}" for number in range(8)))
    scene.poll_fine()
    assert (len(scene.delivered), scene.folder.uids) == (8, [])
    assert scene.server.connections == 1
    assert len([line for line in scene.server.said if line.startswith("SELECT")]) == 3
