"""A rule that is changed between the deletion and its confirmation: the last look takes the deletion back."""

from collections.abc import Iterator, Sequence

import pytest

from fetchrules.errors import RunOvertaken
from fetchrules.models import FetchRule
from fetchrules.remote.mailbox import Listed
from fetchrules.remote.pop3.session import Pop3Mailbox
from tests.poll.conftest import Scene


def test_a_rule_switched_to_keep_before_quit_deletes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    delete = Pop3Mailbox.delete

    def deleting(self: Pop3Mailbox, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        yield from delete(self, letters)
        FetchRule.objects.update(keep=True, revision=9)

    scene.arrive("a", "b", "c")
    monkeypatch.setattr(Pop3Mailbox, "delete", deleting)
    assert isinstance(scene.poll().error, RunOvertaken)
    assert scene.maildrop.uids == ["a", "b", "c"]
    assert "RSET" in scene.server.said
    assert "QUIT" not in scene.server.said
    monkeypatch.undo()
    scene.poll_fine()
    assert (scene.delivered, scene.maildrop.uids) == (["a", "b", "c"], ["a", "b", "c"])
