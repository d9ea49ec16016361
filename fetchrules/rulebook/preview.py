"""What a text would change, before it does: rule by rule, field by field. Nothing is written here."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from fetchrules.errors import PasswordUnreadable
from fetchrules.ledger.source_mailboxes import Ledger, to_be_passed
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.poll.destinations import delivers_into_maildirs
from fetchrules.rule import MASK, MAX_RULES, OPTIONS, Auth, Encryption, Rule
from fetchrules.rulebook.ledgers import Orphan, heirs, ledgers_left, offered_to_each
from fetchrules.rulebook.rows import Change, changes_of, password_of
from fetchrules.rulebook.text import Stored, stored_rules
from fetchrules.ruletext.document import Document
from fetchrules.ruletext.lexer import Kind
from fetchrules.ruletext.line import Line, harmful_problems
from fetchrules.ruletext.matching import match
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Claims, Source, account_of, keeps_password
from fetchrules.ruletext.validate import passing_fault
from fetchrules.secrets.sealing import target_of
from fetchrules.words import names


class Verdict(Enum):
    """What applying the text does with a rule."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Choices:
    """What is chosen beside a text.

    `delete_missing`: rules that the text lacks are deleted. `pass_present`: letters that lie on the servers of new rules by then
    count as collected; `since`: those that arrived before that day do (or what is wrong with it). `other_mailbox`: a mailbox that
    has another name now is another one, and all of its letters are collected. `same_mailbox`: new rules continue the ledgers that
    are offered to them.
    """

    delete_missing: bool = False
    pass_present: bool = False
    since: date | Code | None = None
    other_mailbox: bool = False
    same_mailbox: bool = False


NOTHING_CHOSEN = Choices()


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of the text. `stored` is the rule that it was so far; `kept` the row of its masked password, or why there is none.

    `former`: the ledger of the same mailbox under another name, which it continues unless somebody says otherwise; `orphan`: the
    only ledger that it may be told to continue.
    """

    line: Line
    rule: Rule
    stored: Stored | None
    changes: tuple[Change, ...]
    kept: FetchRule | Code | None
    former: Ledger | None = None
    orphan: Orphan | None = None

    @property
    def verdict(self) -> Verdict:
        """Added, changed or unchanged. Its place and spelling may have changed all the same."""
        if self.stored is None:
            return Verdict.ADDED
        return Verdict.CHANGED if self.changes else Verdict.UNCHANGED

    def continued(self, choices: Choices) -> Ledger | None:
        if self.former is not None:
            return None if choices.other_mailbox else self.former
        return self.orphan.ledger if self.orphan is not None and choices.same_mailbox else None


@dataclass(frozen=True, slots=True)
class Preview:
    """What `document` would do to the rules of `version`: nothing if it has errors."""

    version: int
    document: Document
    problems: tuple[Problem, ...]
    entries: tuple[Entry, ...] = ()
    missing: tuple[Stored, ...] = ()
    stored: tuple[Stored, ...] = ()
    start: str = ""
    tail: str = ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.is_error)

    @property
    def added(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.verdict is Verdict.ADDED)

    @property
    def changed(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.verdict is Verdict.CHANGED)

    @property
    def unchanged(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.verdict is Verdict.UNCHANGED)

    @property
    def renamed(self) -> tuple[Entry, ...]:
        """Rules whose mailbox has another name than before."""
        return tuple(entry for entry in self.entries if entry.former is not None)

    @property
    def adoptable(self) -> tuple[Entry, ...]:
        """New rules that may continue a ledger that no rule reads."""
        return tuple(entry for entry in self.entries if entry.orphan is not None)

    @property
    def meaning(self) -> str:
        """A digest of what has to be said of ledgers before the text is applied; empty if nothing."""
        said = [
            (entry.rule.server, entry.rule.user, entry.former, entry.orphan) for entry in self.renamed + self.adoptable
        ]
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16] if said else ""

    @property
    def unpassable(self) -> tuple[tuple[Entry, Code], ...]:
        """New rules whose present letters cannot count as collected, each with the reason."""
        faults = ((entry, passing_fault(entry.rule)) for entry in self.added)
        return tuple((entry, fault) for entry, fault in faults if fault is not None)


def ledger_words(entry: Entry, choices: Choices) -> str:
    """What becomes of the ledger of another name of its mailbox; empty if there is none."""
    if entry.former is not None:
        return names.renamed(entry.former.account, other_mailbox=choices.other_mailbox)
    if entry.orphan is not None:
        return names.offered(entry.orphan.ledger.account, entry.orphan.letters, same_mailbox=choices.same_mailbox)
    return ""


def preview(document: Document, choices: Choices = NOTHING_CHOSEN) -> Preview:
    """What applying the text `document` would do. If the text itself has errors, nothing but its problems."""
    settings = ServiceSettings.current()
    if document.errors:
        return Preview(settings.text_version, document, document.problems)
    stored = tuple(stored_rules())
    lines = [line for line in document.lines if line.rule is not None]
    entries, missing = _compare(lines, stored)
    removed, remaining = (missing, []) if choices.delete_missing else ([], missing)
    if len(entries) + len(remaining) > MAX_RULES:
        too_many = Problem(Code.TOO_MANY_RULES, line=1, column=1, maximum=MAX_RULES)
        return Preview(settings.text_version, document, (too_many,))
    entries = _with_ledgers(entries, removed)
    unsaid = [Problem(choices.since, field="since")] if isinstance(choices.since, Code) else []
    found = (*unsaid, *_problems(entries, remaining, settings), *_passing_problems(entries, new=choices.pass_present))
    problems = sorted((*document.problems, *found), key=lambda problem: (problem.line, problem.column))
    return Preview(
        settings.text_version,
        document,
        tuple(problems),
        tuple(entries),
        tuple(missing),
        stored,
        settings.text_start,
        settings.text_tail,
    )


def _compare(lines: Sequence[Line], stored: Sequence[Stored]) -> tuple[list[Entry], list[Stored]]:
    rules = [line.rule for line in lines if line.rule is not None]
    matches = match(rules, [item.rule for item in stored])
    passwords = StoredPasswords(stored)
    entries = []
    for line, rule, found in zip(lines, rules, matches, strict=True):
        own = stored[found.old] if found else None
        sure = found is not None and found.sure
        kept = passwords.find(rule, own, sure=sure) if rule.password == MASK else None
        entries.append(Entry(line, rule, own, changes_of(own.row, rule, own.rule) if own else (), kept))
    taken = {found.old for found in matches if found}
    return entries, [item for index, item in enumerate(stored) if index not in taken]


def _with_ledgers(entries: Sequence[Entry], removed: Sequence[Stored]) -> list[Entry]:
    """`entries`, each with the ledger that it continues, or may."""
    new = {number: entry.rule for number, entry in enumerate(entries) if entry.stored is None}
    moved = {
        number: (entry.rule, entry.stored.row)
        for number, entry in enumerate(entries)
        if entry.stored is not None and entry.verdict is Verdict.CHANGED
    }
    former = ledgers_left(moved, [stored.row.id for stored in removed])
    former |= heirs(new, [(stored.rule, stored.row) for stored in removed])
    alone = {number: rule for number, rule in new.items() if number not in former}
    orphans = {
        number: offered[0]
        for number, offered in zip(alone, offered_to_each(alone.values()), strict=True)
        if len(offered) == 1
    }
    return [
        replace(entry, former=former.get(number), orphan=orphans.get(number)) for number, entry in enumerate(entries)
    ]


def _passing_problems(entries: Sequence[Entry], *, new: bool) -> Iterator[Problem]:
    """Rules whose present letters cannot count as collected, although somebody chose that now or before."""
    pending = to_be_passed()
    for entry in entries:
        fault = passing_fault(entry.rule)
        if fault is None:
            continue
        if entry.verdict is Verdict.ADDED and new:
            yield _at(entry, fault, "user")
        elif entry.verdict is Verdict.CHANGED and entry.stored is not None:
            ledger = Ledger.of(entry.stored.row.source)
            if ledger in pending and ledger.account == account_of(entry.rule):
                yield _at(entry, Code.PRESENT_PENDING, "user")


def _problems(entries: Sequence[Entry], remaining: Sequence[Stored], settings: ServiceSettings) -> Iterator[Problem]:
    """The problems that depend on stored rules and settings. `remaining`: rules that stay and are not in the text."""
    for entry in entries:
        if entry.rule.flags and not delivers_into_maildirs():
            yield _at_word(entry, Code.FLAGS_LOST, "flags")
        if isinstance(entry.kept, Code):
            yield _at(entry, entry.kept, "password")
        if entry.verdict is not Verdict.UNCHANGED:
            if not settings.is_local(entry.rule.recipient):
                yield _at(entry, Code.RECIPIENT_NOT_LOCAL, "recipient")
            yield from harmful_problems(entry.line)
    claims: Claims[int] = Claims()
    for stored in remaining:
        claims.claim(stored.rule, stored.row.id)
    taken = (entry for entry in entries if claims.conflict(entry.rule) is not None)
    yield from (_at(entry, Code.SOURCE_TAKEN_ELSEWHERE, "user") for entry in taken)


def _at(entry: Entry, code: Code, field: str) -> Problem:
    token = entry.line.token(Kind(field))
    return Problem(code, line=entry.line.number, column=token.start + 1, length=len(token.text), field=field)


def _at_word(entry: Entry, code: Code, word: str) -> Problem:
    tokens = (token for token in entry.line.tokens if token.kind is Kind.WORD)
    token = next(token for token in tokens if (token.value or "").lower() == word)
    return Problem(
        code, line=entry.line.number, column=token.start + 1, length=len(token.text), field=OPTIONS[word].field
    )


class StoredPasswords:
    """The passwords of the stored rules, by account and pins. A masked line gets its own rule's, or one of the same account."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self._known: dict[tuple[Source, frozenset[str]], list[Stored]] = defaultdict(list)
        self._shared: dict[tuple[Source, frozenset[str], Encryption, bool, Auth], Stored | Code] = {}
        for item in stored:
            self._known[account_of(item.rule), frozenset(item.rule.sslfingerprint)].append(item)

    def find(self, rule: Rule, own: Stored | None, *, sure: bool) -> FetchRule | Code:
        """The password for the masked `rule`: `own` is the rule that it was, and `sure` says that no other can be meant."""
        if own is not None and sure and keeps_password(own.rule, rule):
            return _kept(own, rule, own)
        account, pins = account_of(rule), frozenset(rule.sslfingerprint)
        wanted = (account, pins, rule.encryption, rule.sslcertck, rule.auth)
        if wanted not in self._shared:  # once for all rules that ask for the same: thousands may share an account
            same_account = self._known.get((account, pins), ())
            self._shared[wanted] = _shared([item for item in same_account if keeps_password(item.rule, rule)])
        shared = self._shared[wanted]
        if isinstance(shared, Code):
            return shared
        return _kept(own if own is not None and keeps_password(own.rule, rule) else shared, rule, own)


def _shared(stored: Sequence[Stored]) -> Stored | Code:
    """The first of these rules if all have the same password, or why none can be used."""
    if not stored:
        return Code.PASSWORD_NEEDED
    agree = all(_same_password(stored[0].row, other.row) for other in stored[1:])
    return stored[0] if agree else Code.PASSWORD_AMBIGUOUS


def _kept(stored: Stored, rule: Rule, own: Stored | None) -> FetchRule | Code:
    """The password of `stored` for `rule`. It need not be readable if it stays as it is, only if it is sealed for another rule."""
    if stored is own and target_of(stored.rule) == target_of(rule):
        return stored.row
    try:
        password_of(stored.row)
    except PasswordUnreadable:
        return Code.PASSWORD_NEEDED
    return stored.row


def _same_password(one: FetchRule, other: FetchRule) -> bool:
    if one.password == other.password:
        return True
    try:
        return password_of(one) == password_of(other)
    except PasswordUnreadable:
        return False
