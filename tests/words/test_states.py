"""The journal has a word for everything that a poll can leave behind."""

from django.utils import translation

from fetchrules.policy.known import Fate, State
from fetchrules.policy.planning import Remark, Why
from fetchrules.words import states


def test_it_has_words_for_everything_that_is_left_and_for_nothing_else() -> None:
    assert set(states.LEFT) == {*Why, *Remark}


def test_it_says_them_in_russian() -> None:
    with translation.override("ru"):
        said = [states.left_alone(reason) for reason in states.LEFT]
    assert [words for words in said if not any("а" <= letter <= "я" for letter in words)] == []


def test_it_has_words_for_every_state_of_a_letter() -> None:
    assert set(states.LETTER_BADGES) == set(State)
    assert set(states.FATES) == set(Fate)
