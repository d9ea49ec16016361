"""Whole polls of IMAP servers that tell odd things of their letters: all is collected, and what is in doubt stays."""

import re
from collections.abc import Callable

import pytest

from tests.poll.test_imap import ImapScene, scene
from tests.servers.faults import Alter, Fault
from tests.servers.imap import Behaviour, Step
from tests.servers.imap_scripts import LARGE
from tests.servers.maildrop import letter

__all__ = ["scene"]

pytestmark = pytest.mark.django_db


def altered(change: Callable[[bytes], bytes]) -> Behaviour:
    """A server whose listing is changed."""
    return Behaviour(faults=(Fault(Step.LISTING, Alter(change), nth=0),))


@pytest.mark.parametrize("oversizes", [-1_100_000, 100])
def test_it_delivers_no_part_of_a_letter_for_the_whole(scene: ImapScene, oversizes: int) -> None:
    scene.folder.add(LARGE)
    scene.server.behaviour = Behaviour(most=300_000, oversizes=oversizes)
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([], [LARGE])


@pytest.mark.parametrize(("count", "size"), [(200, 100_000), (1, 18_000_000)])
def test_it_collects_letters_that_are_far_larger_than_told(scene: ImapScene, count: int, size: int) -> None:
    letters = [letter(f"{number}", size) for number in range(count)]
    for data in letters:
        scene.folder.add(data)
    scene.server.behaviour = altered(lambda told: re.sub(rb"RFC822.SIZE \d+", b"RFC822.SIZE 100", told))
    errors = [scene.poll().error for _ in range(3)]
    assert errors[1:] == [None, None]
    assert (scene.folder.uids, scene.delivered) == ([], sorted(letters))


@pytest.mark.parametrize("words", ["NO Some messages could not be FETCHed (Failure)", "BAD Command Error. 10"])
def test_it_collects_the_other_letters_where_one_cannot_be_listed(scene: ImapScene, words: str) -> None:
    letters = [letter(name) for name in ("one", "two", "three")]
    for data in letters:
        scene.folder.add(data)

    def lacks_the_second(told: bytes) -> bytes:
        first, _, third, last = told.splitlines(keepends=True)
        return first + third + last.replace(b"OK done", words.encode())

    scene.server.behaviour = altered(lambda told: lacks_the_second(told) if told.count(b"\n") == 4 else told)
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([2], sorted([letters[0], letters[2]]))


@pytest.mark.parametrize("keyword", ["a}b", "x{3}", "a]b", "\\*", "метка", "a\\b", '"quo ted"'])
def test_it_reads_a_folder_with_a_keyword_like(scene: ImapScene, keyword: str) -> None:
    scene.folder.add(letter("one"), "\\recent", keyword)
    assert scene.poll().error is None
    assert scene.delivered == [letter("one")]


def test_it_leaves_a_letter_of_whose_deletion_another_line_tells(scene: ImapScene) -> None:
    scene.folder.add(letter("on its way out"), "\\Deleted")
    whole = re.compile(rb"\* (\d+) FETCH \((UID \d+) (FLAGS \(\S*\)) (.*)\)\r\n")
    scene.server.behaviour = altered(lambda told: whole.sub(rb"* \1 FETCH (\2 \4)\r\n* \1 FETCH (\2 \3)\r\n", told))
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([1], [])


@pytest.mark.parametrize("step", [Step.CAPABILITY, Step.LOGIN, Step.SELECT, Step.LISTING, Step.FETCH, Step.UID_EXPUNGE])
def test_it_understands_small_letters(scene: ImapScene, step: Step) -> None:
    scene.folder.add(letter("one"))
    kind = re.compile(rb"(?m)^(?:\*(?: \d+)?|[A-Z]+\d+) [A-Z]+(?: \[[A-Z]+)?")
    lower = Alter(lambda told: kind.sub(lambda found: _with_small_letters(found[0]), told))
    scene.server.behaviour = Behaviour(tells_capabilities=False, faults=(Fault(step, lower, nth=0),))
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([], [letter("one")])


def _with_small_letters(told: bytes) -> bytes:
    """All but a tag, which is ours to choose."""
    tag, _, rest = told.partition(b" ")
    return tag + b" " + rest.lower()


@pytest.mark.parametrize("words", [b"* OK [ALERT] You have used {90}\r\n", b"* NO over quota {5}{90}\r\n"])
@pytest.mark.parametrize("step", [Step.SELECT, Step.LISTING, Step.FETCH])
def test_it_takes_words_for_no_literal(scene: ImapScene, step: Step, words: bytes) -> None:
    scene.folder.add(letter("one"))
    scene.server.behaviour = Behaviour(faults=(Fault(step, Alter(lambda told: words + told), nth=0),))
    assert scene.poll().error is None
    assert (scene.folder.uids, scene.delivered) == ([], [letter("one")])
