"""Ledgers that no rule reads any more: a new rule of their recipient may read the same mailbox under another name."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import Rule
from fetchrules.rulebook.branches import newest_letters
from fetchrules.rulebook.renaming import Ledger
from fetchrules.ruletext.sources import account_of


@dataclass(frozen=True, slots=True)
class Orphan:
    """A ledger that no rule reads, and how many letters it has delivered. `name` tells it from others; it is one of its rows."""

    name: int
    ledger: Ledger
    letters: int


def offered_to(rule: Rule) -> list[Orphan]:
    """The ledgers that a new rule may be asked to continue, the one with the newest letter first."""
    return offered_to_each([rule])[0]


def offered_to_each(rules: Iterable[Rule]) -> list[list[Orphan]]:
    """The same for each of many rules. A ledger of the rule's own account needs no word: it is found again by itself."""
    rules = list(rules)
    rows, owners = _unread()
    if not owners:
        return [[] for _ in rules]
    recipients = [mailbox_key(rule.recipient) for rule in rules]
    wanted = set(recipients)
    found = _orphans({ledger: owner for ledger, owner in owners.items() if owner in wanted}, rows)
    return [
        [one for one in found[recipient] if one.ledger.account != account_of(rule)]
        for recipient, rule in zip(recipients, rules, strict=True)
    ]


def _unread() -> tuple[dict[Ledger, list[int]], dict[Ledger, str]]:
    """The ledgers with letters that no rule reads: the ids of their rows, and whom the newest letter of each went to."""
    unread = SourceMailbox.objects.filter(~_is_read())
    rows: dict[Ledger, list[int]] = defaultdict(list)
    owners: dict[Ledger, str] = {}
    for letter in newest_letters(unread):
        ledger = Ledger.of(letter.source)
        rows[ledger].append(letter.source_id)
        owners.setdefault(ledger, mailbox_key(letter.recipient))
    return rows, owners


def _orphans(owners: Mapping[Ledger, str], rows: Mapping[Ledger, list[int]]) -> dict[str, list[Orphan]]:
    """The ledgers of `owners` by owner, without those that another ledger continues: they come with that one."""
    found: dict[str, list[Orphan]] = defaultdict(list)
    if owners:
        with_letters = {row for ids in rows.values() for row in ids}
        continued = _continued({ledger: rows[ledger] for ledger in owners}, with_letters)
        for ledger in (one for one in owners if one not in continued):
            found[owners[ledger]].append(Orphan(min(rows[ledger]), ledger, _delivered(rows[ledger])))
    return found


def _is_read() -> Exists:
    """Whether a rule reads the account of a source mailbox on its branch."""
    account = {f"source__{name}": OuterRef(name) for name in ("protocol", "host", "port", "user", "branch")}
    return Exists(FetchRule.objects.filter(**account))


def _continued(ledgers: Mapping[Ledger, Collection[int]], with_letters: Collection[int]) -> set[Ledger]:
    """Those of `ledgers` that a ledger goes on with, at whatever distance, which a rule reads or which has letters itself."""
    followers: dict[int, list[int]] = defaultdict(list)
    in_use = set(with_letters)
    links = SourceMailbox.objects.exclude(continues=None)
    for row, former in links.values_list("id", "continues_id"):
        followers[former].append(row)
    in_use |= set(links.filter(_is_read()).values_list("id", flat=True))
    return {ledger for ledger, rows in ledgers.items() if _reached(rows, followers) & in_use}


def _reached(rows: Collection[int], followers: Mapping[int, Collection[int]]) -> set[int]:
    """The rows that continue one of `rows`, directly or not."""
    reached: set[int] = set()
    waiting = list(rows)
    while waiting:
        new = set(followers.get(waiting.pop(), ())) - reached
        reached |= new
        waiting += new
    return reached


def _delivered(rows: Collection[int]) -> int:
    return Letter.objects.filter(source__in=rows, state=Letter.State.DELIVERED).count()
