"""Where a masked line's password comes from: from the rule that it was, or from one for the same account; never by guessing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import Stored
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.sources import Source, account_of
from fetchrules.ruletext.spec import Rule
from fetchrules.ruletext.trust import keeps_password
from fetchrules.secrets import target_of


@dataclass(frozen=True, slots=True)
class Kept:
    """The row whose password a masked line goes on with, or why there is none."""

    row: FetchRule | None
    problem: Code | None = None


class StoredPasswords:
    """The passwords of the stored rules, by the accounts that they open."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self._by_account: dict[Source, list[Stored]] = defaultdict(list)
        for item in stored:
            self._by_account[account_of(item.rule)].append(item)

    def find(self, rule: Rule, own: Stored | None, *, sure: bool) -> Kept:
        """The password for the masked `rule`: `own` is the rule that it was, and `sure` says that no other can be meant."""
        if own is not None and sure and keeps_password(own.rule, rule):
            return _kept(own, rule, own)
        stored = self._by_account.get(account_of(rule), [])
        candidates = [item for item in stored if keeps_password(item.rule, rule)]
        if not candidates:
            return Kept(None, Code.PASSWORD_NEEDED)
        best = own if own in candidates else candidates[0]
        if any(not _same_password(best.row, other.row) for other in candidates if other is not best):
            return Kept(None, Code.PASSWORD_AMBIGUOUS)
        return _kept(best, rule, own)


def _kept(stored: Stored, rule: Rule, own: Stored | None) -> Kept:
    """A password that only stays where it is need not be readable; one that is sealed for another rule must be."""
    if stored is own and target_of(stored.rule) == target_of(rule):
        return Kept(stored.row)
    try:
        password_of(stored.row)
    except PasswordUnreadable:
        return Kept(None, Code.PASSWORD_NEEDED)
    return Kept(stored.row)


def _same_password(one: FetchRule, other: FetchRule) -> bool:
    if one.password == other.password:
        return True
    try:
        return password_of(one) == password_of(other)
    except PasswordUnreadable:
        return False
