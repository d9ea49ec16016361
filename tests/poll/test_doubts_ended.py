"""Letters in doubt, from the poll that brought them to the poll after somebody has looked at them."""

import pytest

from fetchrules.ledger import by_hand, hosts
from fetchrules.models import Letter
from fetchrules.policy.known import Doubt
from tests.poll.conftest import NewScene, Scene, letter
from tests.servers.pop3 import Behaviour

WHOLE, CAME = 5234, 1500
LINE_END = 2
"""What the server puts behind the octets before the dot."""


def a_scene_in_doubt(new_scene: NewScene, **columns: object) -> Scene:
    """One letter came twice with the same length, far shorter than listed, and was delivered."""
    scene = new_scene(Behaviour(short={"a": CAME}), **columns)
    scene.arrive(letter("a", size=WHOLE))
    for _ in range(2):
        scene.poll()
    assert scene.delivered == ["a"]
    assert Letter.objects.get().doubt == Doubt.SHORT
    return scene


def names_on(scene: Scene) -> list[str]:
    return [one.uid for one in scene.maildrop.letters]


def test_it_says_so_while_it_is_asked_for_again(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(short={"a": CAME}))
    scene.arrive(letter("a", size=WHOLE))
    scene.poll()
    held = Letter.objects.filter(by_hand.HELD).get()
    assert (held.reason, held.octets, held.size) == ("came_short", CAME + LINE_END, WHOLE)


def test_it_deletes_a_letter_that_somebody_calls_whole(new_scene: NewScene) -> None:
    scene = a_scene_in_doubt(new_scene)
    scene.poll()
    assert names_on(scene) == ["a"]
    by_hand.settle(Letter.objects.all())
    scene.poll_fine()
    assert names_on(scene) == []
    assert scene.delivered == ["a"]


def test_it_leaves_a_whole_letter_where_the_rule_keeps_mail(new_scene: NewScene) -> None:
    scene = a_scene_in_doubt(new_scene, keep=True)
    by_hand.settle(Letter.objects.all())
    scene.poll_fine()
    assert names_on(scene) == ["a"]
    assert scene.delivered == ["a"]


def test_it_collects_a_letter_again(new_scene: NewScene) -> None:
    scene = a_scene_in_doubt(new_scene)
    scene.behave()
    by_hand.collect_again(Letter.objects.all())
    scene.poll_fine()
    assert scene.delivered == ["a", "a"]
    assert names_on(scene) == []


@pytest.mark.parametrize("come_back", [False, True])
def test_it_doubts_a_letter_anew_that_is_short_again(come_back: bool, new_scene: NewScene) -> None:
    scene = a_scene_in_doubt(new_scene)
    by_hand.collect_again(Letter.objects.all())
    scene.poll()
    assert Letter.objects.get().reason == "came_short"
    if come_back:
        scene.poll()
        assert scene.delivered == ["a", "a"]
        assert Letter.objects.get().doubt == Doubt.SHORT


def test_it_takes_short_letters_for_whole_from_a_server_with_wrong_sizes(new_scene: NewScene) -> None:
    scene = new_scene(Behaviour(short={"a": CAME}))
    scene.arrive(letter("a", size=WHOLE))
    hosts.declare_sizes(scene.rule.source.host, wrong=True)
    scene.poll_fine()
    assert scene.delivered == ["a"]
    assert names_on(scene) == []
