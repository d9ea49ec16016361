"""What sets two versions of a rule apart, field by field."""

from dataclasses import dataclass, fields

from fetchrules.models import FetchRule
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.rows import has_password

_FIELDS = tuple(item.name for item in fields(Rule) if item.name != "password")


@dataclass(frozen=True, slots=True)
class Change:
    """One field before and after. Passwords are MASK on both sides."""

    field: str
    old: object
    new: object


def changes_of(row: FetchRule, wanted: Rule, old: Rule | None = None) -> tuple[Change, ...]:
    """What would be another in `row` if it said `wanted` (a masked password: the stored one). `old`: `row` as a rule, if known."""
    old = old or row.as_rule(MASK)
    changes = [
        Change(name, getattr(old, name), getattr(wanted, name))
        for name in _FIELDS
        if getattr(old, name) != getattr(wanted, name)
    ]
    if wanted.password != MASK and not has_password(row, wanted.password):
        changes.append(Change("password", MASK, MASK))
    return tuple(changes)
