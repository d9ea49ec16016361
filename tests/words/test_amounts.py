"""Numbers, durations and moments in words, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from fetchrules.words import amounts, times

DAY = "21\N{NO-BREAK SPACE}авг.\N{NO-BREAK SPACE}2026\N{NO-BREAK SPACE}г."
NOW = datetime(2026, 8, 21, 8, 28, 30, tzinfo=UTC)
"""11:28:30 in Moscow."""


@pytest.mark.parametrize(
    ("octets", "russian", "english"),
    [
        (0, "0 Б", "0 B"),
        (1023, "1023 Б", "1023 B"),
        (1024, "1 КБ", "1 KB"),
        (1536, "1,5 КБ", "1.5 KB"),
        (120 * 1024, "120 КБ", "120 KB"),
        (1023 * 1024, "1 МБ", "1 MB"),
        (10 * 2**20, "10 МБ", "10 MB"),
        (3_700_000_000, "3,4 ГБ", "3.4 GB"),
        (2**41, "2048 ГБ", "2048 GB"),
    ],
)
def test_it_says_octets(octets: int, russian: str, english: str) -> None:
    with translation.override("ru"):
        assert amounts.octets(octets) == russian
    with translation.override("en"):
        assert amounts.octets(octets) == english


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 писем"),
        (1, "1 письмо"),
        (2, "2 письма"),
        (5, "5 писем"),
        (11, "11 писем"),
        (21, "21 письмо"),
        (1204, "1 204 письма"),
    ],
)
def test_it_counts_letters_in_three_forms(number: int, words: str) -> None:
    with translation.override("ru"):
        assert amounts.letters(number).replace("\xa0", " ") == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "1 мин"),
        (10, "10 мин"),
        (60, "1 ч"),
        (90, "90 мин"),
        (1440, "1 день"),
        (2880, "2 дня"),
        (10080, "7 дней"),
    ],
)
def test_it_says_an_interval(minutes: int, words: str) -> None:
    with translation.override("ru"):
        assert amounts.minutes(minutes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 мс"),
        (0.012, "12 мс"),
        (2.44, "2,4 с"),
        (12.4, "12 с"),
        (59.6, "1 мин 0 с"),
        (84, "1 мин 24 с"),
        (3600, "1 ч 0 мин"),
        (-1, "0 мс"),
    ],
)
def test_it_says_how_long_something_took(seconds: float, words: str) -> None:
    with translation.override("ru"):
        assert amounts.duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "только что"),
        (30, "30 с назад"),
        (180, "3 мин назад"),
        (2 * 3600, "2 часа назад"),
        (5 * 3600, "5 часов назад"),
        (20 * 3600, "вчера в 15:28"),
        (40 * 24 * 3600, "12 июл."),
        (400 * 24 * 3600, "17\N{NO-BREAK SPACE}июл.\N{NO-BREAK SPACE}2025\N{NO-BREAK SPACE}г."),
    ],
)
def test_it_says_how_long_ago(seconds: int, words: str) -> None:
    with translation.override("ru"):
        assert times.ago(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(("hours", "words"), [(0.5, "в 11:58"), (24, "завтра в 11:28"), (72, "24 авг.")])
def test_it_says_when_something_will_be(hours: float, words: str) -> None:
    with translation.override("ru"):
        assert times.on(NOW + timedelta(hours=hours), NOW) == words


def test_it_says_a_moment_exactly() -> None:
    with translation.override("ru"):
        assert (times.exact(NOW), times.exact_second(NOW)) == (f"{DAY}, 11:28", f"{DAY}, 11:28:30")
    with translation.override("en"):
        assert times.exact(NOW) == "21 Aug 2026, 11:28"
