"""What a mailbox has lived through: a clock that jumps, and a service that stands still, do not make letters old."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger.hosts import live
from fetchrules.models import FetchRule, SourceMailbox

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def source(make_rule: Callable[..., FetchRule]) -> SourceMailbox:
    return make_rule().source


def lived(source: SourceMailbox, interval: timedelta, *hours: float) -> list[tuple[float, bool]]:
    """What is counted at each of these hours, in hours; the mailbox is read afresh each time."""
    looks = [live(SourceMailbox.objects.get(pk=source.pk), interval, NOW + hour * HOUR) for hour in hours]
    return [(round(look.seconds / 3600, 2), look.counted) for look in looks]


@pytest.mark.parametrize(
    ("hours", "counted"),
    [
        ([0, 0.1, 2, 25, 48], [(0, True), (0.1, True), (2, True), (25, True), (48, True)]),
        ([0, 24.05, 48.1], [(0, True), (24, True), (48, True)]),
        ([0, 24.2, 48.2], [(0, True), (0, False), (24, True)]),
        ([0, 24 * 40, 24 * 40 + 24], [(0, True), (0, False), (24, True)]),
        ([0, 24 * 40, 1, 2], [(0, True), (0, False), (0, False), (1, True)]),
        ([0, -3, -2], [(0, True), (0, False), (1, True)]),
    ],
    ids=["evenly", "once a day", "jumped by a little over a day", "jumped ahead", "jumped ahead and back", "put back"],
)
def test_it_counts_what_was_lived_through(
    source: SourceMailbox, hours: list[float], counted: list[tuple[float, bool]]
) -> None:
    assert lived(source, TEN_MINUTES, *hours) == counted


def test_it_counts_days_between_polls_that_are_rarer_than_days(source: SourceMailbox) -> None:
    assert lived(source, 36 * HOUR, 0, 36, 72, 180, 216) == [
        (0, True),
        (36, True),
        (72, True),
        (72, False),
        (108, True),
    ]
