"""The judge of the random stories is tested too: each broken decision is caught by a story that goes well with the sound engine."""

from collections.abc import Callable

import pytest

from tests.faults import test_random_stories as events
from tests.faults.campaign import SEED
from tests.faults.engine import Engine
from tests.faults.story import Story
from tests.faults.world import new_world
from tests.servers import imap


def short(story: Story) -> None:
    """One of the letters comes short for a while."""
    story.world.send(1, 3000)
    events.one_short(story)
    story.poll()
    story.poll()


def passed_and_renamed(story: Story) -> None:
    """What lies there counts as collected, and then the server loses its index."""
    story.world.send(3)
    story.edit(keep=True, uidl=True)
    events.pass_present(story)
    events.rename_all(story)
    story.poll()


def read_and_renumbered(story: Story) -> None:
    """People read letters that no poll has seen, among others, and then the server loses its index."""
    story.edit(keep=True)
    story.world.send(4)
    story.poll()
    story.world.send(6)
    events.people_read(story)
    events.rename_all(story)
    story.poll()


def a_year_ahead(story: Story) -> None:
    """Letters are to stay for three days, and the clock is wrong once."""
    story.edit(keepdays=3)
    story.world.send(3)
    story.poll()
    story.poll(change="a year ahead")
    story.poll()


def flagged_by_others(story: Story) -> None:
    """Others have flagged letters for deletion, and the server cannot expunge by UID."""
    story.serve(capabilities=("IMAP4rev1",))
    story.world.send(20)
    events.people_flag(story)
    assert story.flagged
    story.poll()


def kept_so_far(story: Story) -> None:
    """A rule that left its mail does not any more."""
    story.edit(keep=True)
    story.world.send(3)
    story.poll()
    story.edit(keep=False)
    story.poll()


CATCHERS: dict[str, tuple[Callable[[Story], None], tuple[bool, ...]]] = {
    "sizes not compared": (short, (False, True)),
    "passed over under a name": (passed_and_renamed, (False, True)),
    "read by nobody else": (read_and_renumbered, (True,)),
    "clock believed": (a_year_ahead, (False, True)),
    "others flags are ours": (flagged_by_others, (True,)),
    "kept is forgotten": (kept_so_far, (False, True)),
}
EVERY = [(mutant, folder) for mutant, (_, folders) in CATCHERS.items() for folder in folders]


@pytest.mark.parametrize(("mutant", "folder"), EVERY)
def test_it_catches(mutant: str, folder: bool, engine: Engine) -> None:
    tell, _ = CATCHERS[mutant]
    for change in ("", mutant):
        inbox = imap.Folder() if folder else None
        name = f"judge-{folder}-{mutant}-{bool(change)}".replace(" ", "-").lower()
        with new_world(engine, name, SEED, folder=inbox) as world:
            world.change = change
            if not change:
                tell(Story(world, inbox))
                continue
            with pytest.raises(AssertionError):
                tell(Story(world, inbox))
