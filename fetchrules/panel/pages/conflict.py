"""A form that was made from a rule that somebody else has changed since: who did, and what is another now."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from fetchrules.models import AuditEntry, FetchRule
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.changes import changes_of
from fetchrules.words import changes

_OF_THE_TEXT = ("text_applied", "text_undone")


@dataclass(frozen=True, slots=True)
class Conflict:
    """`who` is empty where the audit does not say it. `differences`: from the rule as it is now to what stands in the form."""

    at: datetime
    who: str
    differences: tuple[str, ...]

    @classmethod
    def of(cls, row: FetchRule, wanted: Rule) -> "Conflict":
        """Between `row`, as it is now, and what the form wants."""
        since = AuditEntry.objects.filter(at__gte=row.edited_at)
        entry = since.filter(Q(about=str(row)[:400]) | Q(what__in=_OF_THE_TEXT)).order_by("at", "id").first()
        differences = changes_of(row, wanted, row.as_rule(MASK))
        said = tuple(changes.describe(one.field, one.old, one.new) for one in differences)
        return cls(row.edited_at, entry.who if entry else "", said)
