"""What a test of the connection says that a poll would do: nothing of what would not happen."""

import pytest
from django.utils import translation

from fetchrules.panel.pages.connection_trial import summary_of
from fetchrules.policy.planning import Plan, ToDelete, ToFetch, Why
from fetchrules.remote.mailbox import Listed

LETTER = Listed(1, "1", 2048)
TAKEN, KEPT = ToFetch(LETTER, delete_after=True), ToFetch(LETTER, delete_after=False)
SEEN = (LETTER, Why.SEEN)


@pytest.mark.parametrize(
    ("plan", "russian", "english"),
    [
        (Plan(), "Новых писем нет.", "There are no new letters."),
        (
            Plan(fetch=(TAKEN,)),
            "Опрос сейчас забрал бы 1 письмо (2 КБ) с удалением на сервере.",
            "A poll now would fetch 1 letter (2 KB), then delete them on the server.",
        ),
        (
            Plan(fetch=(KEPT, KEPT)),
            "Опрос сейчас забрал бы 2 письма (4 КБ), оставив на сервере.",
            "A poll now would fetch 2 letters (4 KB) and leave them on the server.",
        ),
        (
            Plan(delete=(ToDelete(LETTER, None),), left=(SEEN, SEEN)),
            "Опрос сейчас сначала удалил бы собранное раньше: 1 письмо. Новых писем нет. Не тронул бы: 2 письма.",
            "A poll now would first delete 1 letter, collected earlier. There are no new letters. Left alone: 2 letters.",
        ),
    ],
)
def test_it_says_what_a_poll_would_do(plan: Plan, russian: str, english: str) -> None:
    with translation.override("ru"):
        assert summary_of(plan) == russian
    with translation.override("en"):
        assert summary_of(plan) == english
