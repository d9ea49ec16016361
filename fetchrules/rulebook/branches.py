"""Which ledger a rule goes on with: each recipient of an account whose mail is kept has a branch of it (ADR 12)."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import OuterRef, QuerySet, Subquery

from fetchrules.ledger.sources import pass_nothing, rows_of, source_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import MASK, Rule
from fetchrules.ruletext.sources import Source, account_of, sources_of


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads which folders of an account: on which branch so far, and whether for the same recipient as so far.

    A recipient is his local mailbox (its `mailbox_key`): several addresses may be one.
    """

    account: Source
    folders: frozenset[str]
    recipient: str
    branch: int | None = None
    stays: bool = False

    @classmethod
    def of(cls, rule: Rule, row: FetchRule | None) -> "Reader":
        """Who reads what when `row`, as it is stored (None: a new rule), says `rule`."""
        account, recipient = account_of(rule), mailbox_key(rule.recipient)
        folders = frozenset(source.folder for source in sources_of(rule))
        if row is None or source_of(row.source).account != account:
            return cls(account, folders, recipient)
        return cls(account, folders, recipient, row.source.branch, mailbox_key(row.recipient) == recipient)


@dataclass(slots=True)
class Branches:
    """The branches of one account: who reads each, and whom its newest letter went to."""

    _readers: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _newest: dict[int, str] = field(default_factory=dict)
    _audience: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    found_empty: set[int] = field(default_factory=set)
    """The branches that somebody came to while nobody read them."""

    def expect(self, reader: Reader) -> None:
        """Note who will read which folders, on whichever branch."""
        for folder in reader.folders:
            self._audience[folder].add(reader.recipient)

    def seat(self, branch: int, recipient: str) -> None:
        """Note a reader of a branch."""
        self._readers[branch].add(recipient)

    def letter(self, branch: int, recipient: str) -> None:
        """Note whom a letter went to. The newest letter first."""
        self._newest.setdefault(branch, recipient)

    def rank(self, reader: Reader) -> int:
        """Who chooses first: whose own a branch is, by reading it or by its letters; who sits somewhere; who comes."""
        if reader.stays:
            return 0
        if reader.recipient in self._newest.values():
            return 1
        return 3 if reader.branch is None else 2

    def choose(self, reader: Reader) -> int:
        """The branch for `reader`, who sits on it from now on."""
        free = (one for one in self._wanted(reader) if self._readers.get(one, set()) <= {reader.recipient})
        branch = next(free)
        if branch != reader.branch and not self._readers.get(branch):
            self.found_empty.add(branch)
        self.seat(branch, reader.recipient)
        return branch

    def _wanted(self, reader: Reader) -> Iterator[int]:
        """What suits him, the best first; a branch that somebody else reads may be among it.

        Another recipient's letters are nothing that he has. Only who takes over a mailbox that nobody else reads takes it as it is.
        """
        yield from sorted(branch for branch, readers in self._readers.items() if readers == {reader.recipient})
        if reader.branch is not None and reader.stays:
            yield reader.branch
        yield from (branch for branch, recipient in self._newest.items() if recipient == reader.recipient)
        takes_over = all(self._audience[folder] <= {reader.recipient} for folder in reader.folders)
        if reader.branch is not None and (takes_over or reader.branch not in self._newest):
            yield reader.branch
        yield from (branch for branch in itertools.count() if branch not in self._newest)


def choose_branches(
    wanted: Mapping[int, tuple[Rule, FetchRule | None]], removed: Collection[int] = ()
) -> dict[int, int]:
    """The branch for each rule that is to be written, given with its row as stored; `removed`: ids of rules that go.

    Where nobody reads a branch any more, its mark that what lies there counts as collected was another rule's: it is taken away.
    """
    readers = {key: Reader.of(rule, row) for key, (rule, row) in wanted.items()}
    gone = {row.id for _, row in wanted.values() if row is not None} | set(removed)
    accounts = _accounts(readers.values(), gone)
    # Who is ranked equal chooses in the order of the text.
    order = sorted(readers, key=lambda key: accounts[readers[key].account].rank(readers[key]))
    chosen = {key: accounts[readers[key].account].choose(readers[key]) for key in order}
    pass_nothing({(account, branch) for account, branches in accounts.items() for branch in branches.found_empty})
    return chosen


def _accounts(readers: Collection[Reader], gone: Collection[int]) -> dict[Source, Branches]:
    """The accounts of `readers` without the rules `gone`, in few queries."""
    accounts: dict[Source, Branches] = defaultdict(Branches)
    for reader in readers:
        accounts[reader.account].expect(reader)
    for rows in rows_of(accounts):
        for row in FetchRule.objects.filter(source__in=rows).select_related("source"):
            account = source_of(row.source).account
            if row.id not in gone and account in accounts:
                other = Reader.of(row.as_rule(MASK), row)
                accounts[account].expect(other)
                accounts[account].seat(row.source.branch, other.recipient)
        for letter in newest_letters(rows):
            account = source_of(letter.source).account
            if account in accounts:
                accounts[account].letter(letter.source.branch, mailbox_key(letter.recipient))
    return accounts


def newest_letters(rows: QuerySet[SourceMailbox]) -> QuerySet[Letter]:
    """The newest letter of each of `rows`, the newest first."""
    letters = Letter.objects.filter(source=OuterRef("pk")).order_by("-id").values("id")[:1]
    ids = rows.annotate(newest=Subquery(letters)).values("newest")
    return Letter.objects.filter(id__in=ids).select_related("source").only("recipient", "source").order_by("-id")
