"""Letters on their way in, event by event: what a session that breaks off leaves behind."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from fetchrules.errors import ConnectionLost, LocalProtocolError
from fetchrules.ledger import runs
from fetchrules.ledger.letters import Filing
from fetchrules.models import Run
from fetchrules.policy.planning import ToFetch
from fetchrules.poll.comparison import Comparison
from fetchrules.poll.destinations import Destination
from fetchrules.poll.intake import Intake
from fetchrules.poll.progress import Progress
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Listed, Retrieved
from tests.poll.conftest import Scene

LETTER = Listed(1, "a", 14)
TO_FETCH = (ToFetch(LETTER, delete_after=True),)


@pytest.fixture
def intake(scene: Scene) -> Iterator[Intake]:
    """Of a poll that has begun."""
    (run_id,) = runs.claim([scene.rule], timezone.now(), Run.Cause.COMMAND)
    run = runs.start(run_id, timezone.now())
    assert run is not None
    destination = Destination(run.recipient)
    destination.prepare(0)
    progress = Progress(run)
    filing = Filing(run, run.source, 0)
    yield Intake(filing, destination, progress, Comparison(filing, progress, set()))
    destination.close()


def test_it_blames_no_letter_for_a_connection_that_is_lost_behind_the_last(scene: Scene, intake: Intake) -> None:
    def events() -> Iterator[Retrieved]:
        yield from (Begun(LETTER), Chunk(LETTER, b"Subject: a\n\nb\n"), Complete(LETTER))
        raise ConnectionLost

    with pytest.raises(ConnectionLost):
        intake.take(events(), TO_FETCH)
    assert scene.states == {"a": "delivered"}
    assert scene.delivered == ["a"]
    assert [one.letter for one in intake.to_delete] == [LETTER]


def test_it_believes_in_no_text_without_a_beginning(scene: Scene, intake: Intake) -> None:
    with pytest.raises(LocalProtocolError):
        intake.take(iter([Chunk(LETTER, b"text")]), TO_FETCH)
    assert (scene.states, scene.delivered) == ({}, [])
