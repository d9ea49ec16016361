"""What `manage.py poll --json` tells a script of a poll whose server did not do as planned."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from fetchrules.models import FetchRule
from tests.poll.conftest import NewImapScene, NewScene, Reader, letter
from tests.servers.pop3 import Behaviour, LetterFault, Say, Step


def told(scene: Reader, *options: str) -> dict[str, Any]:
    """The row that the command prints; its exit status as `status`."""
    printed, status = StringIO(), 0
    try:
        call_command("poll", str(scene.rule.pk), "--json", *options, stdout=printed)
    except SystemExit as end:
        status = int(str(end.code))
    row: dict[str, Any] = json.loads(printed.getvalue())
    return row | {"status": status}


def test_it_tells_remarks_apart_from_reasons(new_scene: NewScene) -> None:
    scene = new_scene(keep=True)
    scene.arrive("a")
    scene.poll_fine()
    scene.behave(Behaviour(letter_faults=(LetterFault(Step.DELE, "b", Say(b"-ERR no\r\n")),)))
    scene.arrive("b")
    FetchRule.objects.update(keep=False)
    row = told(scene)
    assert (row["outcome"], row["status"], row["fetched"]) == ("collected", 0, 1)
    assert row["remarks"] == {"undeleted": 1}
    assert row["left"] == {"seen": 1, "undeleted": 1}


def test_it_fails_where_nothing_came_of_what_was_to_come(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(letter_faults=(LetterFault(Step.RETR, "a", Say(b"-ERR no\r\n")),)))
    scene.arrive("a")
    row = told(scene)
    assert (row["outcome"], row["status"], row["fetched"], row["held"]) == ("failed", 1, 0, 1)
    assert row["error"]["code"] == "nothing_came"


def test_it_tells_of_a_letter_that_was_delivered_in_doubt(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(short={"a": 1500}))
    scene.arrive(letter("a", size=5234))
    assert told(scene)["outcome"] == "failed"
    row = told(scene)
    assert (row["outcome"], row["status"], row["remarks"]) == ("collected", 0, {"doubted": 1})
    row = told(scene)
    assert (row["outcome"], row["status"], row["left"]) == ("nothing_new", 0, {"marked": 1})


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_it_tells_of_letters_that_others_have_flagged(options: tuple[str, ...], new_imap_scene: NewImapScene) -> None:
    scene = new_imap_scene(keep=True)
    scene.arrive("a", flags=("\\Deleted",))
    assert told(scene, *options)["remarks"] == {"flagged": 1}
