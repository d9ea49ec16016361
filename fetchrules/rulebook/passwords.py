"""Where a masked line's password comes from: from the rule that it was, or from one for the same account; never by guessing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule
from fetchrules.rule import Encryption, Rule
from fetchrules.rulebook.rows import password_of
from fetchrules.rulebook.text import Stored
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.sources import Source, account_of, keeps_password
from fetchrules.secrets.sealing import target_of


@dataclass(frozen=True, slots=True)
class Kept:
    """The row whose password a masked line goes on with, or why there is none."""

    row: FetchRule | None
    problem: Code | None = None


class StoredPasswords:
    """The passwords of the stored rules, by the accounts that they open and the pins by which they trust."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self._known: dict[tuple[Source, str], list[Stored]] = defaultdict(list)
        self._found: dict[tuple[Source, str, Encryption, bool], _Candidates] = {}
        for item in stored:
            self._known[account_of(item.rule), item.rule.sslfingerprint].append(item)

    def find(self, rule: Rule, own: Stored | None, *, sure: bool) -> Kept:
        """The password for the masked `rule`: `own` is the rule that it was, and `sure` says that no other can be meant."""
        if own is not None and sure and keeps_password(own.rule, rule):
            return _kept(own, rule, own)
        candidates = self._candidates(rule)
        if candidates.first is None:
            return Kept(None, Code.PASSWORD_NEEDED)
        if not candidates.agree:
            return Kept(None, Code.PASSWORD_AMBIGUOUS)
        return _kept(own if own is not None and keeps_password(own.rule, rule) else candidates.first, rule, own)

    def _candidates(self, rule: Rule) -> "_Candidates":
        """Looked for once for all rules that ask for the same: thousands may share an account."""
        account = account_of(rule)
        wanted = (account, rule.sslfingerprint, rule.encryption, rule.sslcertck)
        if wanted not in self._found:
            same_account = self._known.get((account, rule.sslfingerprint), ())
            rows = [item for item in same_account if keeps_password(item.rule, rule)]
            agree = all(_same_password(rows[0].row, other.row) for other in rows[1:])
            self._found[wanted] = _Candidates(rows[0] if rows else None, agree)
        return self._found[wanted]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The first of the rules whose password may be used, and whether they all have the same one."""

    first: Stored | None
    agree: bool


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
