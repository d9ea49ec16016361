"""Whole polls of IMAP servers that tell odd things of their letters: all is collected, and what is in doubt stays."""

import pytest

from tests.poll.test_imap import ImapScene, scene
from tests.servers.imap import Behaviour
from tests.servers.imap_scripts import LARGE

__all__ = ["scene"]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("oversizes", [-1_100_000, 100])
def test_it_delivers_no_part_of_a_letter_for_the_whole(scene: ImapScene, oversizes: int) -> None:
    scene.folder.add(LARGE)
    scene.server.behaviour = Behaviour(most=300_000, oversizes=oversizes)
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([], [LARGE])
