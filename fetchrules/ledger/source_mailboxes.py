"""The rows of source mailboxes that rules read, found or made.

A row is one folder of an account for one recipient, so that each recipient of an account gets every letter (ADR 26).
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date

from django.db.models import Q, QuerySet

from fetchrules.models import SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.rule import Protocol, Rule
from fetchrules.ruletext import sources as named
from fetchrules.ruletext.sources import Source, address_key


@dataclass(frozen=True, slots=True)
class Ledger:
    """All folders of an account for one recipient, whose address is folded."""

    account: Source
    recipient: str

    @classmethod
    def of(cls, row: SourceMailbox) -> "Ledger":
        return cls(source_of(row).account, row.recipient)


def sources_of(rule: Rule, recipient: str | None = None, have: SourceMailbox | None = None) -> list[SourceMailbox]:
    """The rows, made if missing, of all folders that `rule` reads for `recipient` (None: its own), the rule's `source` first.

    `have`: one that need not be read.
    """
    ledger = address_key(rule.recipient) if recipient is None else recipient
    wanted = [(source, ledger) for source in named.sources_of(rule)]
    found = {(source_of(have), have.recipient): have} if have else {}
    found |= found_or_made([one for one in wanted if one not in found])
    return [found[one] for one in wanted]


def found_or_made(wanted: Collection[tuple[Source, str]]) -> dict[tuple[Source, str], SourceMailbox]:
    """The rows of these mailboxes and recipients, in few queries."""
    wanted = set(wanted)
    found = _found(wanted) if wanted else {}
    missing = [
        SourceMailbox(**asdict(source), recipient=recipient)
        for source, recipient in sorted(wanted - found.keys(), key=str)
    ]
    if missing:
        SourceMailbox.objects.bulk_create(missing, ignore_conflicts=True)
        found = _found(wanted)
    return found


def pass_present(rows: Iterable[SourceMailbox], *, passed: bool = True) -> None:
    """Let the letters that the next poll finds in these mailboxes count as collected, or (`passed` False) no longer do so."""
    _mark(rows, pass_present=passed, since=None)


def collect_since(rows: Iterable[SourceMailbox], day: date) -> None:
    """Let those of the letters that the next poll finds in these mailboxes count as collected that arrived before `day`."""
    _mark(rows, pass_present=False, since=day)


def _mark(rows: Iterable[SourceMailbox], **columns: bool | date | None) -> None:
    for ids in chunks([row.pk for row in rows]):
        SourceMailbox.objects.filter(id__in=ids).update(**columns)


TO_BE_PASSED = Q(pass_present=True) | Q(since__isnull=False)
"""Some letters of these mailboxes, or all, are about to count as collected."""


def to_be_passed() -> set[Ledger]:
    """The ledgers all of whose letters count as collected at the next poll."""
    return {Ledger.of(row) for row in SourceMailbox.objects.filter(pass_present=True)}


def rows_of(accounts: Collection[Source]) -> Iterator[QuerySet[SourceMailbox]]:
    """The rows of these accounts, and perhaps of others, some hundred accounts at a time."""
    for some in chunks(sorted(accounts, key=lambda account: (account.host, account.user))):
        hosts, users = {account.host for account in some}, {account.user for account in some}
        yield SourceMailbox.objects.filter(host__in=hosts, user__in=users)


def folders_of(row: SourceMailbox) -> QuerySet[SourceMailbox]:
    """All folders of the row's account for the same recipient."""
    protocol, host, port, user = row.account
    return SourceMailbox.objects.filter(protocol=protocol, host=host, port=port, user=user, recipient=row.recipient)


def former_of(row: SourceMailbox) -> list[SourceMailbox]:
    """The ledgers that this one continues, nearest first, each once: names may be changed to and fro."""
    chain: list[SourceMailbox] = []
    met = {row.pk}
    former = row.continues
    while former is not None and former.pk not in met:
        met.add(former.pk)
        chain.append(former)
        former = former.continues
    return chain


def source_of(row: SourceMailbox) -> Source:
    return Source(Protocol(row.protocol), row.host, row.port, row.user, row.folder)


def _found(wanted: Collection[tuple[Source, str]]) -> dict[tuple[Source, str], SourceMailbox]:
    found: dict[tuple[Source, str], SourceMailbox] = {}
    for rows in rows_of({source.account for source, _ in wanted}):
        for row in rows:
            key = (source_of(row), row.recipient)
            if key in wanted:
                found[key] = row
    return found
