"""Every hostile server, met by a whole poll: nothing lost, twice or corrupt, an end in time, and good polls recover."""

from collections import Counter
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from fetchrules.errors import InternalError
from fetchrules.remote.account import Deadlines
from tests.poll.conftest import NewScene, Scene
from tests.servers.pop3 import Behaviour
from tests.servers.pop3_scripts import SCRIPTS, Script

HASTY = Deadlines(connect=5.0, idle=0.2, session=1.0, slowest=1000)
IN_TIME = 10.0
RULES: tuple[dict[str, Any], ...] = ({}, {"keep": True}, {"keep": True, "flush": True})
"""Each script meets one of them; the campaigns of `make faults` let each meet all."""


def copies(scene: Scene) -> "Counter[bytes]":
    """What lies in new/, by content."""
    return Counter(path.read_bytes() for path in (scene.mailbox / "new").glob("*"))


def on_server(scene: Scene) -> "Counter[bytes]":
    """What the server still has, as true copies would look."""
    return Counter(letter.data.replace(b"\r\n", b"\n") for letter in scene.maildrop.letters)


def check(scene: Scene, script: Script, sent: "Counter[bytes]") -> None:
    """Nothing lost, nothing twice, nothing corrupt, as far as the server was true to its letters."""
    if script.faithful:
        here, there = copies(scene), on_server(scene)
        assert here <= sent, "twice or corrupt"
        assert sent <= here + there, "lost"


@pytest.mark.parametrize(
    ("script", "columns"),
    [pytest.param(script, RULES[number % len(RULES)], id=script.name) for number, script in enumerate(SCRIPTS)],
)
def test_it_survives(script: Script, columns: dict[str, Any], new_scene: NewScene) -> None:
    scene = new_scene(script.behaviour, timeout=None, **columns)
    scene.limit(deadlines=HASTY)
    for data in script.letters:
        scene.maildrop.add(data)
    sent = on_server(scene)
    began = monotonic()
    error = scene.poll().error
    assert monotonic() - began < IN_TIME
    assert not isinstance(error, InternalError)
    check(scene, script, sent)
    good = Behaviour()
    scene.behave(replace(good, capabilities=script.behaviour.capabilities, slice=script.behaviour.slice))
    scene.limit(deadlines=Deadlines())
    while (counts := scene.poll_fine()).fetched or counts.deleted or counts.held:
        check(scene, script, sent)
    if script.faithful:
        assert copies(scene) == sent
    assert scene.maildrop.uids == [] or columns.get("keep")


def test_it_does_not_break_off_for_a_number_beyond_all_numbers(new_scene: NewScene) -> None:
    by_name = {script.name: script for script in SCRIPTS}
    scene = new_scene(by_name["sizes without measure"].behaviour)
    scene.limit(deadlines=HASTY)
    scene.arrive("a", "b")
    assert scene.poll().counts.held == 2
