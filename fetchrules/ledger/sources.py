"""Source mailboxes as rows: which of them a rule reads, found or made.

Two rules that keep the mail of one account for two recipients are two readers of it, each with a ledger of its own: the `branch`
tells their rows apart.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict

from django.db.models import QuerySet

from fetchrules.models import SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.rule import Protocol, Rule
from fetchrules.ruletext import sources as named
from fetchrules.ruletext.sources import Source


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


def to_be_passed() -> set[tuple[Source, int]]:
    """The accounts and branches in which what lies there counts as collected at the next poll."""
    marked = SourceMailbox.objects.filter(pass_present=True)
    return {(source_of(row).account, row.branch) for row in marked}


def pass_nothing(branches: Collection[tuple[Source, int]]) -> None:
    """What lies in the mailboxes of these accounts and branches does not count as collected any more, if it did."""
    for rows in rows_of({account for account, _ in branches}):
        marked = rows.filter(pass_present=True)
        ids = [row.pk for row in marked if (source_of(row).account, row.branch) in branches]
        for some in chunks(ids):
            SourceMailbox.objects.filter(id__in=some).update(pass_present=False)


def rows_of(accounts: Collection[Source]) -> Iterator[QuerySet[SourceMailbox]]:
    """The rows of these accounts, some hundred accounts at a time; rows of others may be among them."""
    for some in chunks(sorted(accounts, key=lambda account: (account.host, account.user))):
        hosts, users = {account.host for account in some}, {account.user for account in some}
        yield SourceMailbox.objects.filter(host__in=hosts, user__in=users)


def folders_of(row: SourceMailbox) -> QuerySet[SourceMailbox]:
    """Every mailbox of the account that `row` belongs to, for the same reader."""
    protocol, host, port, user = row.account
    return SourceMailbox.objects.filter(protocol=protocol, host=host, port=port, user=user, branch=row.branch)


def former_of(row: SourceMailbox) -> list[SourceMailbox]:
    """The ledgers that this one continues, the nearest first, without itself, each once: names may be changed to and fro."""
    chain: list[SourceMailbox] = []
    met = {row.pk}
    former = row.continues
    while former is not None and former.pk not in met:
        met.add(former.pk)
        chain.append(former)
        former = former.continues
    return chain


def source_of(row: SourceMailbox) -> Source:
    """The mailbox that `row` stands for."""
    return Source(Protocol(row.protocol), row.host, row.port, row.user, row.folder)


def _found(wanted: Collection[tuple[Source, int]]) -> dict[tuple[Source, int], SourceMailbox]:
    hosts = sorted({source.host for source, _ in wanted})
    found: dict[tuple[Source, int], SourceMailbox] = {}
    for some in chunks(hosts):
        for row in SourceMailbox.objects.filter(host__in=some):
            key = (source_of(row), row.branch)
            if key in wanted:
                found[key] = row
    return found
