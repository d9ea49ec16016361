"""What to do with letters, as a choice: the combinations of keep, flush and fetchall that make sense, each with its words."""

from enum import StrEnum

from django.utils.functional import Promise, lazy
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from fetchrules.rule import Rule


class Treatment(StrEnum):
    TAKE = "take"
    LEAVE = "leave"
    UNTIL_NEXT = "until_next"
    EMPTY = "empty"
    DAYS = "days"
    OWN = "own"


WORDS: dict[Treatment, tuple[bool, bool, bool]] = {
    Treatment.TAKE: (False, False, False),
    Treatment.LEAVE: (True, False, False),
    Treatment.UNTIL_NEXT: (True, True, False),
    Treatment.EMPTY: (False, False, True),
    Treatment.DAYS: (False, False, False),
}
"""keep, flush and fetchall of each choice; DAYS has `keepdays` as well, OWN says its own."""


def treatment_of(rule: Rule) -> Treatment:
    """The choice that says what `rule` says."""
    words = (rule.keep, rule.flush, rule.fetchall)
    if rule.keepdays is not None:
        return Treatment.DAYS if words == WORDS[Treatment.DAYS] else Treatment.OWN
    return next((t for t, three in WORDS.items() if three == words and t is not Treatment.DAYS), Treatment.OWN)


def _labelled(text: str | Promise, words: str) -> str:
    return format_html('{} <span class="chip">{}</span>', text, words)


_label = lazy(_labelled, str)

CHOICES: list[tuple[str, str | Promise]] = [
    (Treatment.TAKE.value, _label(_("Fetch new letters, delete them from the server"), "nokeep")),
    (Treatment.LEAVE.value, _label(_("Fetch new letters, leave them on the server"), "keep")),
    (Treatment.UNTIL_NEXT.value, _label(_("Leave them until the next poll"), "keep flush")),
    (Treatment.EMPTY.value, _label(_("Fetch everything and empty the mailbox"), "nokeep fetchall")),
    (Treatment.DAYS.value, _("Leave on the server for some days")),
    (Treatment.OWN.value, _("Another combination:")),
]
