"""What a server does against the rule is said, although the poll succeeds."""

import re

import pytest

from tests.poll.conftest import NewScene, Scene
from tests.poll.test_imap import ImapScene, scene
from tests.servers import imap, pop3
from tests.servers.faults import Alter, Fault, Say
from tests.servers.maildrop import letter

__all__ = ["scene"]

NO = Say(b"-ERR [SYS/TEMP] not now\r\n")
POP3 = {
    "a letter without a name": (
        Fault(pop3.Step.UIDL, Alter(lambda said: said.replace(b"2 b\r\n", b""))),
        "unlisted",
        1,
    ),
    "more letters than listed": (Fault(pop3.Step.STAT, Alter(lambda said: said.replace(b"3 ", b"5 "))), "unlisted", 2),
    "no deletion": (Fault(pop3.Step.DELE, NO, nth=0), "undeleted", 3),
    "one deletion less": (Fault(pop3.Step.DELE, NO, nth=2), "undeleted", 1),
    "no goodbye": (Fault(pop3.Step.QUIT, NO), "unconfirmed", 3),
}


@pytest.mark.parametrize(("fault", "remark", "letters"), POP3.values(), ids=POP3)
def test_it_says_what_a_pop3_server_does_not_do(fault: Fault, remark: str, letters: int, new_scene: NewScene) -> None:
    scene: Scene = new_scene(pop3.Behaviour(faults=(fault,)))
    scene.arrive("a", "b", "c")
    counts = scene.poll_fine()
    assert counts.left == {remark: letters}
    assert counts.found == counts.fetched
    assert counts.deleted == 3 - len(scene.maildrop.uids)
    scene.behave()
    assert remark not in scene.poll_fine().left
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], [])


WITHOUT_SIZES = Alter(lambda said: re.sub(rb" RFC822.SIZE \d+", b"", said))
IMAP = {
    "no sizes": (imap.Behaviour(faults=(Fault(imap.Step.LISTING, WITHOUT_SIZES),)), {"unlisted": 1}),
    "a folder that can only be read": (imap.Behaviour(read_only=True), {"undeleted": 1}),
    "others' letters would go too": (imap.Behaviour().without("UIDPLUS"), {"undeleted": 1, "flagged": 1}),
    "a letter that is never given": (
        imap.Behaviour(faults=(Fault(imap.Step.FETCH, Say(b"{tag} OK done\r\n"), nth=0),)),
        {"gone": 1},
    ),
}


@pytest.mark.parametrize(("behaviour", "left"), IMAP.values(), ids=IMAP)
def test_it_says_what_an_imap_server_does_not_do(
    behaviour: imap.Behaviour, left: dict[str, int], scene: ImapScene
) -> None:
    if "UIDPLUS" not in behaviour.capabilities:
        scene.folder.add(letter("another client's"), "\\Deleted")
    scene.folder.add(letter("a"))
    scene.server.behaviour = behaviour
    result = scene.poll()
    assert (result.error, result.counts.left, result.counts.deleted) == (None, left, 0)


def test_it_accounts_for_letters_that_go_meanwhile(scene: ImapScene) -> None:
    for name in ("a", "b"):
        scene.folder.add(letter(name))
    fault = Fault(imap.Step.FETCH, Say(b"{tag} OK done\r\n"), nth=0)
    scene.server.behaviour = imap.Behaviour(faults=(fault,))
    counts = scene.poll().counts
    assert (counts.found, counts.fetched, counts.skipped, counts.left) == (2, 0, 2, {"gone": 2})
