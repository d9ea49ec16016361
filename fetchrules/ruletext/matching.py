"""Which line of a new text is which rule of the old one: by what they say, not by where they stand."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from fetchrules.ruletext.sources import account_of, host_key
from fetchrules.ruletext.spec import Rule


@dataclass(frozen=True, slots=True)
class Match:
    """A line is the old rule number `old` (from 0). Not `sure`: others would have done as well, and the first was taken."""

    old: int
    sure: bool


@dataclass(frozen=True, slots=True)
class _Pass:
    """One attempt: rules with the same `key` are the same rule. `only_sure`: not where there are several of either side."""

    key: Callable[[Rule], Hashable]
    only_sure: bool = False


_PASSES = (
    _Pass(lambda rule: replace(rule, password="")),
    _Pass(lambda rule: (account_of(rule), rule.recipient, rule.folders)),
    _Pass(lambda rule: (account_of(rule), rule.recipient)),
    _Pass(lambda rule: (account_of(rule), rule.folders)),
    _Pass(account_of),
    _Pass(lambda rule: (host_key(rule.server), rule.user, rule.recipient), only_sure=True),
    _Pass(lambda rule: (host_key(rule.server), rule.user), only_sure=True),
    _Pass(lambda rule: (rule.user, rule.recipient), only_sure=True),
    _Pass(lambda rule: (host_key(rule.server), rule.recipient), only_sure=True),
)
"""From the strictest to the loosest; each works on what those before it have left."""


def match(new: Sequence[Rule], old: Sequence[Rule]) -> tuple[Match | None, ...]:
    """For each rule of `new`, which one of `old` it is, if any. No old rule is taken twice; passwords play no part."""
    found: list[Match | None] = [None] * len(new)
    free_new, free_old = list(range(len(new))), list(range(len(old)))
    for attempt in _PASSES:
        if not free_new or not free_old:
            break
        groups = _grouped(free_old, old, attempt.key)
        for key, mine in _grouped(free_new, new, attempt.key).items():
            theirs = groups.get(key, [])
            sure = len(mine) == len(theirs) == 1
            if theirs and (sure or not attempt.only_sure):
                for one, other in zip(mine, theirs, strict=False):
                    found[one] = Match(other, sure)
        taken = {item.old for item in found if item}
        free_new = [index for index in free_new if found[index] is None]
        free_old = [index for index in free_old if index not in taken]
    return tuple(found)


def _grouped(
    indexes: Sequence[int], rules: Sequence[Rule], key: Callable[[Rule], Hashable]
) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index in indexes:
        groups[key(rules[index])].append(index)
    return groups
