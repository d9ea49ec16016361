"""What the documentation says of options comes from the options."""

from fetchrules.models import Run
from fetchrules.panel.pages import guide
from fetchrules.policy.known import Fate, State
from fetchrules.policy.planning import Remark, Why
from fetchrules.policy.table import TABLE
from fetchrules.rule import OPTIONS
from fetchrules.status import RuleState
from fetchrules.words import states


def test_it_explains_every_option_word_and_no_other() -> None:
    assert set(guide.MEANINGS) == set(OPTIONS)
    assert [line.split()[0] for line, _ in guide.options()] == list(OPTIONS)


def test_it_puts_every_row_of_the_table_into_words() -> None:
    assert len(guide.table(TABLE)) == len(TABLE)


def test_it_has_words_for_every_word_of_the_journal() -> None:
    assert set(states.LETTER_BADGES) == set(State)
    assert set(states.FATES) == set(Fate)
    assert set(states.LEFT) == {word.value for words in (Why, Remark) for word in words}
    assert set(states.RUN_BADGES) == set(Run.State)
    assert set(states.RULE_BADGES) == set(RuleState)
