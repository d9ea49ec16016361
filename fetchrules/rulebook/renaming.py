"""A mailbox that got another name goes on with its ledger (ADR 18): nothing is moved, the new ledger remembers the former one."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fetchrules.ledger.sources import found_or_made, rows_of, source_of
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import Rule
from fetchrules.ruletext.sources import Source, account_of, counterpart, sources_of

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one reader of an account has collected, in whichever folders."""

    account: Source
    branch: int

    @classmethod
    def of(cls, row: SourceMailbox) -> "Ledger":
        """The ledger that a source mailbox belongs to."""
        return cls(source_of(row).account, row.branch)


@dataclass(frozen=True, slots=True)
class Succession:
    """A rule that reads `branch` of its account goes on with the ledger `former`; None: with none, it is another mailbox."""

    rule: Rule
    branch: int
    former: Ledger | None


@dataclass(frozen=True, slots=True)
class LedgerChange:
    """For the audit: a rule goes on with the ledger of the account `former`, or does not although it could."""

    former: Source
    continues: bool


def ledgers_left(changed: Mapping[_K, tuple[Rule, FetchRule]]) -> dict[_K, Ledger]:
    """The ledgers that rules, given with their rows as stored, would go on with because they log in elsewhere.

    A rule that gets another recipient as well takes over what it has read only if nobody else reads that account.
    """
    moved = {
        key: Ledger.of(row.source)
        for key, (rule, row) in changed.items()
        if source_of(row.source).account != account_of(rule)
    }
    for_another = {key for key in moved if not _same_recipient(*changed[key])}
    shared = _shared({moved[key].account for key in for_another})
    return {key: ledger for key, ledger in moved.items() if key not in for_another or ledger.account not in shared}


def heirs(new: Mapping[_K, Rule], removed: Iterable[tuple[Rule, FetchRule]]) -> dict[_K, Ledger]:
    """The ledgers of `removed` rules that new ones go on with: of the same recipient, with the login or the server in common.

    Only where no other can be meant.
    """
    left = {number: (rule, row) for number, (rule, row) in enumerate(removed)}
    free = dict(new)
    found: dict[_K, Ledger] = {}
    for trait in _TRAITS if left else ():
        theirs = _grouped({number: rule for number, (rule, _) in left.items()}, trait)
        for key, mine in _grouped(free, trait).items():
            former = theirs.get(key, [])
            if len(mine) == len(former) == 1:
                found[mine[0]] = Ledger.of(left.pop(former[0])[1].source)
                del free[mine[0]]
    return found


def carry_on(successions: Collection[Succession], written: Collection[int]) -> None:
    """Let ledgers continue former ones, folder by folder. `written`: ids of the rules of `successions`.

    A ledger that another rule reads already is left as it is: it is no mailbox that just got its name.
    """
    taken = _read_by_others({account_of(one.rule) for one in successions}, written)
    free = [one for one in successions if Ledger(account_of(one.rule), one.branch) not in taken]
    rows = found_or_made({(source, one.branch) for one in free for source in sources_of(one.rule)})
    former = _ledger_rows({one.former for one in free if one.former is not None})
    wanted: dict[int, int | None] = {}
    for one in free:
        for source in sources_of(one.rule):
            row = rows[source, one.branch]
            found = former.get((_former_name(source, one.former), one.former.branch)) if one.former else None
            if one.former is None or found is not None:
                wanted[row.pk] = found
    _Chains.of(wanted).write(wanted)


def ledger_change(before: SourceMailbox | None, after: SourceMailbox) -> LedgerChange | None:
    """What a saved rule did: `before` is what it read, None if it is new; `after` what it reads now. None: nothing of the kind."""
    if after.continues is not None and (before is None or before.pk != after.pk):
        return LedgerChange(source_of(after.continues).account, continues=True)
    if before is None or after.continues is not None:
        return None
    if before.account != after.account:
        return LedgerChange(source_of(before).account, continues=False)
    return LedgerChange(source_of(before.continues).account, continues=False) if before.continues else None


def _same_recipient(rule: Rule, row: FetchRule) -> bool:
    return mailbox_key(rule.recipient) == mailbox_key(row.recipient)


def _shared(accounts: Collection[Source]) -> set[Source]:
    """Those of `accounts` that rules of several recipients read."""
    recipients: dict[Source, set[str]] = defaultdict(set)
    for row in _readers(accounts):
        recipients[source_of(row.source).account].add(mailbox_key(row.recipient))
    return {account for account, keys in recipients.items() if len(keys) > 1}


def _read_by_others(accounts: Collection[Source], written: Collection[int]) -> set[Ledger]:
    return {Ledger.of(row.source) for row in _readers(accounts) if row.id not in written}


def _readers(accounts: Collection[Source]) -> Iterator[FetchRule]:
    """The rules that read these accounts, as stored; some others may be among them."""
    for rows in rows_of(accounts):
        yield from FetchRule.objects.filter(source__in=rows).select_related("source")


def _former_name(source: Source, former: Ledger) -> Source:
    return replace(former.account, folder=counterpart(source.folder, former.account.protocol))


def _ledger_rows(ledgers: Collection[Ledger]) -> dict[tuple[Source, int], int]:
    """Ids of the rows of these ledgers, by mailbox and branch."""
    return {
        (source_of(row), row.branch): row.pk
        for rows in rows_of({ledger.account for ledger in ledgers})
        for row in rows
        if Ledger.of(row) in ledgers
    }


def _login_name(rule: Rule) -> str:
    """The login without its domain: that is what providers add, or take away."""
    return rule.user.partition("@")[0].casefold()


_TRAITS: Sequence[Callable[[Rule], Hashable]] = (
    lambda rule: (account_of(rule).host, _login_name(rule)),
    lambda rule: rule.user,
    _login_name,
    lambda rule: account_of(rule).host,
)
"""What a mailbox has in common with itself under another name, the surest first."""


def _grouped(rules: Mapping[_K, Rule], trait: Callable[[Rule], Hashable]) -> dict[Hashable, list[_K]]:
    groups: dict[Hashable, list[_K]] = defaultdict(list)
    for key, rule in rules.items():
        groups[mailbox_key(rule.recipient), trait(rule)].append(key)
    return groups


@dataclass(slots=True)
class _Chains:
    """Which row continues which, by id: `following` has what can be reached from the rows that are about to be changed."""

    following: dict[int, int | None]

    @classmethod
    def of(cls, wanted: Mapping[int, int | None]) -> "_Chains":
        """The chains that begin at either end of the links `wanted`."""
        following: dict[int, int | None] = {}
        missing = {*wanted, *(former for former in wanted.values() if former is not None)}
        while missing:
            for ids in chunks(sorted(missing)):
                following.update(SourceMailbox.objects.filter(id__in=ids).values_list("id", "continues_id"))
            missing = {former for former in following.values() if former is not None} - following.keys()
        return cls(following)

    def write(self, wanted: Mapping[int, int | None]) -> None:
        """Make the links `wanted`, and store what is another."""
        before = dict(self.following)
        for row, former in wanted.items():
            self._link(row, former)
        changed = [
            SourceMailbox(id=row, continues_id=former)
            for row, former in self.following.items()
            if former != before[row]
        ]
        SourceMailbox.objects.bulk_update(changed, ["continues"], batch_size=200)

    def _link(self, row: int, former: int | None) -> None:
        """A row that `former` itself continues, at whatever distance, is taken out there: names may be changed to and fro.

        So what the row continued so far stays within reach, and no chain ends in a circle.
        """
        if former is not None:
            if former in self._from(row):
                return
            for one in self._from(former):
                if self.following[one] == row:
                    self.following[one] = self.following[row]
        self.following[row] = former

    def _from(self, row: int) -> list[int]:
        """The chain from `row` on, itself included, each once."""
        chain: list[int] = []
        at: int | None = row
        while at is not None and at not in chain:
            chain.append(at)
            at = self.following[at]
        return chain
