"""A clock that jumped does not make letters old."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger.clock import runs_evenly
from fetchrules.models import FetchRule, SourceMailbox

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def source(make_rule: Callable[..., FetchRule]) -> SourceMailbox:
    return make_rule().source


def looks(source: SourceMailbox, *hours: float) -> list[bool]:
    """What is said at each of these hours; the mailbox is read afresh each time."""
    return [runs_evenly(SourceMailbox.objects.get(pk=source.pk), NOW + hour * HOUR) for hour in hours]


@pytest.mark.parametrize(
    ("hours", "even"),
    [
        ([0, 0.1, 2, 25, 48], [True, True, True, True, True]),
        ([0, 24 * 30, 24 * 30 + 1], [True, False, False]),
        ([0, 24 * 30, 24 * 30 + 23, 24 * 30 + 24], [True, False, False, True]),
        ([0, 24 * 30, 1], [True, False, False]),
        ([0, -3, 20, 21], [True, False, False, True]),
        ([0, -0.05, 1], [True, True, True]),
    ],
    ids=["evenly", "jumped ahead", "a day later", "put back again", "put back", "corrected a little"],
)
def test_it_counts_no_days_for_a_day_after_a_jump(source: SourceMailbox, hours: list[float], even: list[bool]) -> None:
    assert looks(source, *hours) == even
