"""Source mailboxes as rows: which of them a rule reads, found or made.

Two rules that keep the mail of one account for two recipients are two readers of it, each with a ledger of its own: the `branch`
tells their rows apart.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field

from django.db.models import QuerySet

from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.ruletext import sources as named
from fetchrules.ruletext.sources import Source
from fetchrules.ruletext.spec import Protocol, Rule


def sources_of(rule: Rule, branch: int = 0) -> list[SourceMailbox]:
    """The rows for all folders that `rule` reads; the first stands for the rule. Made where they are missing."""
    return [
        SourceMailbox.objects.get_or_create(**asdict(source), branch=branch)[0] for source in named.sources_of(rule)
    ]


def found_or_made(wanted: Collection[tuple[Source, int]]) -> dict[tuple[Source, int], SourceMailbox]:
    """The rows of these mailboxes and branches, in few queries."""
    found = _found(wanted)
    missing = [
        SourceMailbox(**asdict(source), branch=branch) for source, branch in wanted if (source, branch) not in found
    ]
    if missing:
        SourceMailbox.objects.bulk_create(missing, ignore_conflicts=True)
        found = _found(wanted)
    return found


def pass_present(readers: Iterable[tuple[Rule, int]]) -> None:
    """What lies in the mailboxes of these rules (each with its branch) at the next poll counts as collected."""
    wanted = {(source, branch) for rule, branch in readers for source in named.sources_of(rule)}
    for ids in chunks([row.pk for row in found_or_made(wanted).values()]):
        SourceMailbox.objects.filter(id__in=ids).update(pass_present=True)


def folders_of(row: SourceMailbox) -> QuerySet[SourceMailbox]:
    """Every mailbox of the account that `row` belongs to, for the same reader."""
    protocol, host, port, user = row.account
    return SourceMailbox.objects.filter(protocol=protocol, host=host, port=port, user=user, branch=row.branch)


def source_of(row: SourceMailbox) -> Source:
    """The mailbox that `row` stands for."""
    return Source(Protocol(row.protocol), row.host, row.port, row.user, row.folder)


@dataclass(slots=True)
class Branches:
    """Who reads which branch of which account."""

    _recipients: dict[Source, dict[int, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    @classmethod
    def of_others(cls, rules: Iterable[Rule], besides: Collection[int]) -> "Branches":
        """As it is for the accounts of `rules`, the rules with the ids `besides` not counted."""
        branches = cls()
        hosts = sorted({named.account_of(rule).host for rule in rules})
        for some in chunks(hosts):
            rows = FetchRule.objects.filter(source__host__in=some).select_related("source")
            for row in rows.only("recipient", "source"):
                if row.id not in besides:
                    branches.seat(source_of(row.source).account, row.source.branch, row.recipient)
        return branches

    def seat(self, account: Source, branch: int, recipient: str) -> None:
        """Note a reader."""
        self._recipients[account][branch].add(recipient.lower())

    def choose(self, rule: Rule, present: SourceMailbox | None) -> int:
        """The branch for a rule that reads `present` so far: its recipient's, else the same if it can be, else a free one."""
        account, recipient = named.account_of(rule), rule.recipient.lower()
        taken = self._recipients[account]
        wanted = [branch for branch, readers in taken.items() if readers == {recipient}]
        wanted += [present.branch] if present and source_of(present).account == account else []
        free = next(number for number in range(len(taken) + 1) if not taken.get(number))
        branch = next((one for one in wanted if taken.get(one, {recipient}) <= {recipient}), free)
        self.seat(account, branch, recipient)
        return branch


def _found(wanted: Collection[tuple[Source, int]]) -> dict[tuple[Source, int], SourceMailbox]:
    hosts = sorted({source.host for source, _ in wanted})
    found: dict[tuple[Source, int], SourceMailbox] = {}
    for some in chunks(hosts):
        for row in SourceMailbox.objects.filter(host__in=some):
            key = (source_of(row), row.branch)
            if key in wanted:
                found[key] = row
    return found
