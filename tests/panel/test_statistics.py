"""The statistics: sums that add up, by hour or day, by server or rule, drawn and as CSV."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.models import FetchRule, HourlyStat
from fetchrules.panel.pages.journal import Period
from fetchrules.panel.pages.statistics import HEIGHT, Bar, Spread, chart
from fetchrules.words.amounts import count
from tests.conftest import MakeRule

NOON = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
"""In Moscow."""


@pytest.mark.parametrize(
    ("query", "name", "first", "last", "buckets"),
    [
        ("", "week", "2026-11-16", "2026-11-22", 7),
        ("period=today", "today", "2026-11-22", "2026-11-22", 24),
        ("period=month", "month", "2026-10-24", "2026-11-22", 30),
        ("period=nonsense", "week", "2026-11-16", "2026-11-22", 7),
        ("from=2026-11-01&to=2026-11-03", "dates", "2026-11-01", "2026-11-03", 3),
        ("from=2026-11-03&to=2026-11-01", "dates", "2026-11-01", "2026-11-01", 24),
        ("from=2026-11-21", "dates", "2026-11-21", "2026-11-22", 48),
        ("to=2999-01-01", "dates", "2026-11-22", "2026-11-22", 24),
        ("from=1990-01-01&to=2026-11-22", "dates", "2025-11-22", "2026-11-22", 366),
        ("to=0001-01-01", "week", "2026-11-16", "2026-11-22", 7),
        ("from=2026-13-45", "week", "2026-11-16", "2026-11-22", 7),
    ],
)
def test_it_knows_which_days_are_meant(query: str, name: str, first: str, last: str, buckets: int) -> None:
    period = Period.of(QueryDict(query), NOON)
    assert (period.name, str(period.first), str(period.last), len(period.buckets())) == (name, first, last, buckets)


def test_it_leaves_no_gap_between_buckets() -> None:
    buckets = Period.of(QueryDict("period=month"), NOON).buckets()
    assert all(end == start for (_, end), (start, _) in pairwise(buckets))


@pytest.mark.parametrize(
    ("most", "top"), [(0, "2"), (1, "2"), (3, "4"), (7, "10"), (11, "20"), (150, "200"), (201, "400"), (999, "1,000")]
)
def test_it_ends_an_axis_at_a_round_number(most: int, top: str) -> None:
    assert chart("", [Bar(most, "", "")], count).scale[0] == top


def test_it_draws_every_value_in_proportion_and_the_small_ones_visibly() -> None:
    drawn = chart("", [Bar(value, "", "") for value in (0, 1, 500, 1000)], count)
    assert [column.height for column in drawn.columns] == [0, 2, HEIGHT / 2, HEIGHT]


@pytest.mark.parametrize(
    ("seconds", "middle", "longest"),
    [([], None, None), ([3], 3, 3), ([1] * 19 + [100], 1, 95.05), (list(range(1, 102)), 51, 96.9)],
)
def test_it_finds_the_middle_and_the_long_end(seconds: list[int], middle: float | None, longest: float | None) -> None:
    spread = Spread.of([timedelta(seconds=number) for number in seconds])
    found = (spread.middle.total_seconds(), spread.long.total_seconds()) if spread else (None, None)
    assert found == (middle, longest)


@pytest.fixture
def counted(make_rule: MakeRule) -> FetchRule:
    """A rule with a past, beside another one's."""
    one, other = make_rule(user="one"), make_rule(user="other", server="pop.mail.ru")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    HourlyStat.objects.create(rule=one, hour=hour, runs=6, failed=1, idle=3, fetched=30, octets=3 * 2**20)
    HourlyStat.objects.create(rule=one, hour=hour - timedelta(days=2), runs=6, idle=4, fetched=10, octets=2**20)
    HourlyStat.objects.create(rule=other, hour=hour, runs=6, idle=2, fetched=5, octets=2**20)
    return one


@pytest.mark.parametrize(
    ("language", "summary"),
    [
        ("en", "Fetched: 45 letters, 5 MB. Polls: 18, without new letters: 9, failed: 1."),
        ("ru", "Получено: 45 писем, 5 МБ. Опросов: 18, без новых писем: 9, неудачных: 1."),
    ],
)
def test_it_adds_up(language: str, summary: str, admin: Client, counted: FetchRule) -> None:
    page = admin.get(reverse("statistics"), headers={"Accept-Language": language}).content.decode()
    assert summary in page
    assert page.index("mailserver.ru</a>") < page.index("pop.mail.ru</a>")


@pytest.mark.parametrize(
    ("query", "fetched", "idle"),
    [("period=today", 35, 5), ("server=pop.mail.ru", 5, 2), ("by=rule", 45, 9), ("by=nonsense", 45, 9)],
)
def test_it_counts_what_is_asked_for(query: str, fetched: int, idle: int, admin: Client, counted: FetchRule) -> None:
    page = admin.get(f"{reverse('statistics')}?{query}").content.decode()
    assert f"Fetched: {fetched} letters" in page
    assert f"without new letters: {idle}," in page


def test_it_draws_little_on_a_small_scale(admin: Client, rule: FetchRule) -> None:
    HourlyStat.objects.create(rule=rule, hour=timezone.now(), runs=1, fetched=1, octets=1800)
    assert "<span>2 KB</span>" in admin.get(reverse("statistics")).content.decode()


def test_it_counts_one_rule(admin: Client, counted: FetchRule) -> None:
    by_rule = admin.get(f"{reverse('statistics')}?by=rule").content.decode()
    assert f'href="?by=rule&amp;rule={counted.id}"' in by_rule
    page = admin.get(f"{reverse('statistics')}?by=rule&rule={counted.id}").content.decode()
    assert "Fetched: 40 letters" in page
    assert "without new letters: 7," in page
    assert f'name="rule" value="{counted.id}"' in page
    table = admin.get(f"{reverse('statistics_csv')}?rule={counted.id}").content.decode()
    assert sum(int(row["fetched"]) for row in csv.DictReader(StringIO(table))) == 40


@pytest.mark.parametrize("rule", ["nonsense", "999999"])
def test_it_counts_nothing_of_a_rule_that_there_is_not(rule: str, admin: Client, counted: FetchRule) -> None:
    assert "No polls in this period" in admin.get(f"{reverse('statistics')}?rule={rule}").content.decode()


def test_it_counts_nothing_of_others_for_an_owner(owner: Client, counted: FetchRule) -> None:
    page = owner.get(reverse("statistics")).content.decode()
    assert "No polls in this period" in page
    assert "mailserver.ru" not in page


def test_it_gives_the_same_figures_as_csv(admin: Client, counted: FetchRule) -> None:
    rows = list(csv.DictReader(StringIO(admin.get(reverse("statistics_csv")).content.decode())))
    assert len(rows) == 7
    assert sum(int(row["fetched"]) for row in rows) == 45
    assert rows[-1]["failed"] == "1"
    assert [int(row["idle"]) for row in rows] == [0, 0, 0, 0, 4, 0, 5]
