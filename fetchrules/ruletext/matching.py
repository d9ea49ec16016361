"""Recognize the rules of an old text in a new one. Rules are compared by their fields, not by their places."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from fetchrules.rule import MASK, Rule
from fetchrules.ruletext.sources import Source, account_of


@dataclass(frozen=True, slots=True)
class Match:
    """A rule is the old rule number `old` (from 0). Not `sure`: the first of several that fit equally well was taken."""

    old: int
    sure: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: Rule
    account: Source


@dataclass(frozen=True, slots=True)
class _Pass:
    """One attempt: rules with the same `key` are the same rule. `only_sure`: not where there are several of either side.

    `exact`: such rules differ in their passwords at most, so if all keep theirs, it makes no difference which is which.
    """

    key: Callable[[_Candidate], Hashable]
    only_sure: bool = False
    exact: bool = False


_PASSES = (
    _Pass(lambda it: it.rule, exact=True),
    _Pass(lambda it: (it.account, it.rule.recipient, it.rule.folders)),
    _Pass(lambda it: (it.account, it.rule.recipient)),
    _Pass(lambda it: (it.account, it.rule.folders)),
    _Pass(lambda it: it.account),
    _Pass(lambda it: (it.account.host, it.rule.user, it.rule.recipient), only_sure=True),
    _Pass(lambda it: (it.account.host, it.rule.user), only_sure=True),
    _Pass(lambda it: (it.rule.user, it.rule.recipient), only_sure=True),
    _Pass(lambda it: (it.account.host, it.rule.recipient), only_sure=True),
)
"""From the strictest to the loosest. Each sees only the rules that the ones before it have not matched."""


def match(new: Sequence[Rule], old: Sequence[Rule]) -> tuple[Match | None, ...]:
    """For each rule of `new`, the rule of `old` that it is, if any. No old rule is taken twice; passwords are not compared."""
    found: list[Match | None] = [None] * len(new)
    free_new, free_old = _candidates(new), _candidates(old)
    for attempt in _PASSES:
        if not free_new or not free_old:
            break
        groups = _grouped(free_old, attempt.key)
        for key, mine in _grouped(free_new, attempt.key).items():
            theirs = groups.get(key, [])
            all_masked = all(new[number].password == MASK for number in mine)
            sure = len(mine) == len(theirs) and (len(mine) == 1 or (attempt.exact and all_masked))
            if theirs and (sure or not attempt.only_sure):
                for one, other in zip(mine, theirs, strict=False):
                    found[one] = Match(other, sure)
                    del free_new[one], free_old[other]
    return tuple(found)


def _candidates(rules: Sequence[Rule]) -> dict[int, _Candidate]:
    """By their numbers, without passwords."""
    masked = (rule if rule.password == MASK else replace(rule, password=MASK) for rule in rules)
    return {number: _Candidate(rule, account_of(rule)) for number, rule in enumerate(masked)}


def _grouped(candidates: Mapping[int, _Candidate], key: Callable[[_Candidate], Hashable]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, candidate in candidates.items():
        groups[key(candidate)].append(number)
    return groups
