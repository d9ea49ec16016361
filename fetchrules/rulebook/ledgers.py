"""Which ledger a rule reads, and which former ledger that one continues (ADR 18, 26).

A ledger belongs to an account and a recipient, so there is nothing to choose: a rule reads the ledger of its own recipient, or the
first one whose recipient has the same local mailbox under today's delivery settings. Besides, when rules are written: if the
recipient of a mailbox's only reader changes, its letters stay with the rule, and the rows get the new recipient. If a rule logs in
elsewhere, it reads another ledger, which remembers the former one, and nothing is moved.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from django.db.models import Exists, OuterRef, Subquery

from fetchrules.ledger.settled import UNSETTLED
from fetchrules.ledger.source_mailboxes import Ledger, found_or_made, pass_present, rows_of, source_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy.known import State
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import MASK, Rule
from fetchrules.ruletext.sources import Source, account_of, address_key, counterpart, sources_of

_K = TypeVar("_K")
_Folders = dict[Source, SourceMailbox]
"""The rows of one ledger, by mailbox."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A ledger that no rule reads, and how many letters it has delivered. `name` is the id of one of its rows."""

    name: int
    ledger: Ledger
    letters: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A rule that is about to be written over the stored `row`; None: it is new.

    `former`: the ledger that the rule's own continues. `other_mailbox`: it continues none, whatever it continued so far.
    """

    rule: Rule
    row: FetchRule | None = None
    former: Ledger | None = None
    other_mailbox: bool = False

    @property
    def local_mailbox(self) -> str:
        """The key of the local mailbox that the rule delivers to, the same for all of its addresses."""
        return mailbox_key(self.rule.recipient)


def settle(saved: Mapping[_K, Saved], removed: Collection[int] = ()) -> dict[_K, list[SourceMailbox]]:
    """The rows that each rule reads from now on, one for each folder; the first stands for the rule. Missing rows are made.

    `removed`: ids of rules that are deleted in the same change. Call it in the transaction that writes the rules, before they are
    written.
    """
    ledgers = _Ledgers.read(saved.values(), removed)
    read = {key: dict(ledgers.folders(Ledger.of(one.row.source))) for key, one in saved.items() if one.row}
    former = {key: dict(ledgers.folders(one.former)) for key, one in saved.items() if one.former}
    for key, one in saved.items():
        if (taken := ledgers.take_along(one)) is not None:
            former[key] = taken
    chosen = {key: ledgers.read_by(one) for key, one in saved.items()}
    names = {key: [(source, chosen[key].recipient) for source in sources_of(one.rule)] for key, one in saved.items()}
    found = found_or_made({name for some in names.values() for name in some})
    rows = {key: [found[name] for name in some] for key, some in names.items()}
    free = {key: ledgers.folders(ledger) for key, ledger in chosen.items() if ledger not in ledgers.read_by_others}
    _end_marks(free, read)
    _carry_on({key: saved[key] for key in free}, rows, former)
    return rows


def ledgers_left(changed: Mapping[_K, tuple[Rule, FetchRule]], removed: Collection[int] = ()) -> dict[_K, Ledger]:
    """The ledgers that rules, given with their stored rows, would continue because they log in elsewhere.

    A rule that also gets another recipient continues its ledger only if nobody else reads that account. `removed`: ids of rules
    that are deleted in the same change.
    """
    moved = {
        key: Ledger.of(row.source)
        for key, (rule, row) in changed.items()
        if source_of(row.source).account != account_of(rule)
    }
    for_another = {
        key for key in moved if mailbox_key(changed[key][0].recipient) != mailbox_key(changed[key][1].recipient)
    }
    shared = _shared({moved[key].account for key in for_another}, {changed[key][1].id for key in moved} | set(removed))
    return {key: ledger for key, ledger in moved.items() if key not in for_another or ledger.account not in shared}


def heirs(new: Mapping[_K, Rule], removed: Iterable[tuple[Rule, FetchRule]]) -> dict[_K, Ledger]:
    """The ledgers of `removed` rules that new ones continue: of the same recipient, with the login or the server in common.

    A ledger is only continued if no other can be meant.
    """
    left = dict(enumerate(removed))
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


def offered_to(rule: Rule) -> list[Orphan]:
    """The ledgers that a new rule may be asked to continue, the one with the newest letter first."""
    return offered_to_each([rule])[0]


def offered_to_each(rules: Iterable[Rule]) -> list[list[Orphan]]:
    """The same for each of many rules. A ledger of the rule's own account is not offered: the rule reads it anyway."""
    rules = list(rules)
    recipients = [mailbox_key(rule.recipient) for rule in rules]
    found = _orphans(set(recipients))
    return [
        [one for one in found[recipient] if one.ledger.account != account_of(rule)]
        for recipient, rule in zip(recipients, rules, strict=True)
    ]


@dataclass(slots=True)
class _Ledgers:
    """The ledgers of the accounts that rules come to or leave, each with its rows, the oldest first.

    `read_by_others`: the ledgers that other rules read. `audience`: the local mailboxes into which each remote mailbox will be
    collected.
    """

    accounts: dict[Source, dict[str, _Folders]] = field(default_factory=lambda: defaultdict(dict))
    read_by_others: set[Ledger] = field(default_factory=set)
    audience: dict[Source, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, saved: Collection[Saved], removed: Collection[int]) -> "_Ledgers":
        """Few queries for many rules; ledgers of other accounts may be among the result."""
        self = cls()
        written = {one.row.id for one in saved if one.row} | set(removed)
        accounts = {account_of(one.rule) for one in saved}
        accounts |= {source_of(one.row.source).account for one in saved if one.row}
        accounts |= {one.former.account for one in saved if one.former}
        for rows in rows_of(accounts):
            for row in rows.order_by("id"):
                ledger = Ledger.of(row)
                self.accounts[ledger.account].setdefault(ledger.recipient, {})[source_of(row)] = row
            for reader in FetchRule.objects.filter(source__in=rows).select_related("source"):
                if reader.id not in written:
                    self.read_by_others.add(Ledger.of(reader.source))
                    self._expect(Saved(reader.as_rule(MASK)))
        for one in saved:
            self._expect(one)
        return self

    def _expect(self, one: Saved) -> None:
        for source in sources_of(one.rule):
            self.audience[source].add(one.local_mailbox)

    def folders(self, ledger: Ledger) -> _Folders:
        return self.accounts[ledger.account].get(ledger.recipient, {})

    def ledger_of(self, account: Source, recipient: str) -> Ledger:
        """The ledger of the account for a recipient: their own, or the first one whose local mailbox is theirs."""
        own, known = address_key(recipient), self.accounts[account]
        if own not in known:
            same = (one for one in known if mailbox_key(one) == mailbox_key(recipient))
            own = next(same, own)
            known.setdefault(own, {})
        return Ledger(account, own)

    def read_by(self, one: Saved) -> Ledger:
        """The ledger that a rule reads: that of its recipient, or the one that it has read for another address of the mailbox.

        The recipient's ledger may be older, so that letters collected since would come twice. If another rule reads it, the two
        share it nevertheless.
        """
        found = self.ledger_of(account_of(one.rule), one.rule.recipient)
        before = Ledger.of(one.row.source) if one.row else found
        stays = before.account == found.account and mailbox_key(before.recipient) == one.local_mailbox
        return before if stays and found not in self.read_by_others else found

    def take_along(self, one: Saved) -> _Folders | None:
        """If the recipient of a rule changes, give the new one the rows that nobody else reads. Returns all rows that it has then.

        A folder for which the new recipient has a row stays as it is. If the rule leaves the account, its ledger is taken along
        only if the rule continues it.
        """
        before = Ledger.of(one.row.source) if one.row else None
        if before is None or mailbox_key(before.recipient) == one.local_mailbox:
            return None
        if before.account != account_of(one.rule) and before != one.former:
            return None
        after = self.ledger_of(before.account, one.rule.recipient)
        old, new = self.folders(before), self.folders(after)
        taken = [source for source in old if source not in new and self.audience[source] <= {one.local_mailbox}]
        SourceMailbox.objects.filter(id__in=[old[source].pk for source in taken]).update(
            recipient=after.recipient, **UNSETTLED
        )
        for source in taken:
            new[source] = old.pop(source)
        if not old:
            self.accounts[before.account].pop(before.recipient, None)
        return new


def _end_marks(free: Mapping[_K, _Folders], read: Mapping[_K, _Folders]) -> None:
    """Letters present in these mailboxes no longer count as collected, unless the rule has `read` them so far.

    A mark in a ledger that nobody reads was made for a rule that is gone.
    """
    kept = {row.pk for key, rows in free.items() for row in rows.values() if row in read.get(key, {}).values()}
    marked = [row for rows in free.values() for row in rows.values() if row.pass_present or row.since]
    pass_present([row for row in marked if row.pk not in kept], passed=False)


def _carry_on(
    saved: Mapping[_K, Saved], rows: Mapping[_K, Sequence[SourceMailbox]], former: Mapping[_K, _Folders]
) -> None:
    """Let ledgers continue former ones, folder by folder. No other rule reads them: it would have had their names before."""
    links: dict[int, int | None] = {}
    for key, one in saved.items():
        for row in rows[key]:
            if one.other_mailbox:
                links[row.pk] = None
            elif one.former is not None:
                account = one.former.account
                name = replace(account, folder=counterpart(row.folder, account.protocol))
                if name in former[key]:
                    links[row.pk] = former[key][name].pk
    stored = _chains_from(links)
    following = dict(stored)
    for one_row, former_row in links.items():
        _link(following, one_row, former_row)
    changed = [
        SourceMailbox(id=pk, continues_id=after, **UNSETTLED) for pk, after in following.items() if after != stored[pk]
    ]
    SourceMailbox.objects.bulk_update(changed, ["continues", *UNSETTLED], batch_size=200)
    for row in (row for key in saved for row in rows[key]):
        row.continues_id = following.get(row.pk, row.continues_id)


def _shared(accounts: Collection[Source], leaving: Collection[int]) -> set[Source]:
    """Those of `accounts` that rules of several recipients read, or that others read than the `leaving` rules."""
    recipients: dict[Source, set[str]] = defaultdict(set)
    stay: set[Source] = set()
    for rows in rows_of(accounts):
        for reader in FetchRule.objects.filter(source__in=rows).select_related("source"):
            account = source_of(reader.source).account
            recipients[account].add(mailbox_key(reader.recipient))
            if reader.id not in leaving:
                stay.add(account)
    return stay | {account for account, keys in recipients.items() if len(keys) > 1}


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


def _chains_from(links: Mapping[int, int | None]) -> dict[int, int | None]:
    """Which row continues which, by id, for all rows that can be reached from either end of `links`."""
    following: dict[int, int | None] = {}
    missing = {*links, *(former for former in links.values() if former is not None)}
    while missing:
        for ids in chunks(sorted(missing)):
            following.update(SourceMailbox.objects.filter(id__in=ids).values_list("id", "continues_id"))
        missing = {former for former in following.values() if former is not None} - following.keys()
    return following


def _link(following: dict[int, int | None], row: int, former: int | None) -> None:
    """Let `row` continue `former`. If `former` continues `row`, at any distance, `row` is taken out there: names may change back.

    So the row's former ledgers stay within reach, and no chain ends in a circle.
    """
    if former is not None:
        if former in _chain(following, row):
            return
        for one in _chain(following, former):
            if following[one] == row:
                following[one] = following[row]
    following[row] = former


def _chain(following: Mapping[int, int | None], row: int) -> list[int]:
    """The row and those that it continues, each once."""
    chain: list[int] = []
    at: int | None = row
    while at is not None and at not in chain:
        chain.append(at)
        at = following[at]
    return chain


def _orphans(wanted: Collection[str]) -> dict[str, list[Orphan]]:
    """The ledgers with letters that no rule reads, by local mailbox, for the `wanted` ones.

    A ledger that another one continues is not offered by itself.
    """
    letters = Letter.objects.filter(source=OuterRef("pk")).order_by("-id").values("id")[:1]
    unread = SourceMailbox.objects.filter(~_is_read()).annotate(newest=Subquery(letters)).exclude(newest=None)
    rows: dict[Ledger, list[int]] = defaultdict(list)
    for row in unread.order_by("-newest"):
        rows[Ledger.of(row)].append(row.pk)
    owners = {ledger: owner for ledger in rows if (owner := mailbox_key(ledger.recipient)) in wanted}
    found: dict[str, list[Orphan]] = defaultdict(list)
    continued = _continued({row for ids in rows.values() for row in ids}) if owners else set()
    for ledger, owner in owners.items():
        if continued.isdisjoint(rows[ledger]):
            delivered = Letter.objects.filter(source__in=rows[ledger], state=State.DELIVERED)
            found[owner].append(Orphan(min(rows[ledger]), ledger, delivered.count()))
    return found


def _is_read() -> Exists:
    """Whether a rule reads the ledger that a row belongs to."""
    ledger = {f"source__{name}": OuterRef(name) for name in ("protocol", "host", "port", "user", "recipient")}
    return Exists(FetchRule.objects.filter(**ledger))


def _continued(with_letters: Collection[int]) -> set[int]:
    """The rows that are continued, at any distance, by one that has letters or whose ledger a rule reads."""
    links = SourceMailbox.objects.exclude(continues=None)
    following = dict(links.values_list("id", "continues_id"))
    continued: set[int] = set()
    for row in {*with_letters, *links.filter(_is_read()).values_list("id", flat=True)}:
        at = following.get(row)
        while at is not None and at not in continued:
            continued.add(at)
            at = following.get(at)
    return continued
