"""The journal has a word for everything that a poll can leave behind."""

from django.utils import translation

from fetchrules.models import Letter
from fetchrules.policy import Why
from fetchrules.policy.remarks import Remark
from fetchrules.words import runs


def test_it_has_words_for_everything_that_is_left_and_for_nothing_else() -> None:
    assert set(runs.LEFT) == {*Why, *Remark}


def test_it_says_them_in_russian() -> None:
    with translation.override("ru"):
        said = [runs.left(reason) for reason in runs.LEFT]
    assert [words for words in said if not any("а" <= letter <= "я" for letter in words)] == []


def test_it_has_words_for_every_state_of_a_letter() -> None:
    assert set(runs.LETTER_STATES) == set(Letter.State.values)
    assert set(runs.FATES) == set(Letter.Fate.values)
