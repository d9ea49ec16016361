"""Revisions of the rule text: the whole text as it was after each change of it, to compare and to go back to."""

import difflib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from django.contrib.auth.models import User

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule, Revision, ServiceSettings
from fetchrules.rulebook.text import Stored, joined
from fetchrules.ruletext.document import Document, parse
from fetchrules.ruletext.line import Line
from fetchrules.secrets.sealing import target_of, unseal

KEPT = 50
"""How many revisions are kept."""
_CONTEXT = 3
LONG = 5000
"""Lines of a text that is compared without minding those that are common in it."""
EVERYWHERE: Container[int] = range(2**31)
"""All places of a text."""


class Side(Enum):
    """Where a line of a comparison stands."""

    OLD = "-"
    NEW = "+"
    BOTH = "="


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a comparison, or a gap (`number` 0) where equal lines are left out."""

    side: Side
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole text, masked, the stored passwords of its rules in their order, and the places of those that are restricted."""

    text: str
    passwords: list[str]
    restricted: list[int]

    @classmethod
    def of(cls, start: str, stored: Iterable[Stored], tail: str) -> "Snapshot":
        """As it was when `stored` was read."""
        stored = list(stored)
        rows = [item.row for item in stored]
        text = "".join(joined(start, (item.place for item in stored), tail))
        return cls(text, [row.password for row in rows], restricted_places(rows))


def restricted_places(rows: Iterable[FetchRule]) -> list[int]:
    """Which of `rows`, in the order of the text, are restricted."""
    return [number for number, row in enumerate(rows) if row.restricted]


def restricted_in(revision: Revision) -> Container[int]:
    """The places of rules that were restricted then; all of them where nothing is known of it."""
    return EVERYWHERE if revision.restricted is None else revision.restricted


def record(
    version: int, snapshot: Snapshot, author: User | None, note: str, *, added: int, changed: int, removed: int
) -> Revision:
    """Keep the text of `version`. The oldest revisions go."""
    revision = Revision.objects.create(
        author=author,
        version=version,
        note=note,
        text=snapshot.text,
        passwords=snapshot.passwords,
        restricted=snapshot.restricted,
        added=added,
        changed=changed,
        removed=removed,
    )
    kept = Revision.objects.values_list("id", flat=True)[:KEPT]
    Revision.objects.exclude(id__in=list(kept)).delete()
    return revision


def is_recorded(version: int) -> bool:
    """Whether there is a revision of `version`: not before the first, and not after rules were changed one by one."""
    return Revision.objects.filter(version=version).exists()


def current_version() -> int:
    """The version that the text is at: what a preview shows and an apply is checked against."""
    return ServiceSettings.current().text_version


def document_of(revision: Revision) -> Document:
    """The text of a revision with the passwords of its time; one that no key opens any more stays masked."""
    document = parse(revision.text)
    passwords = iter(revision.passwords)
    return document.with_lines(
        _with_password(line, next(passwords, "")) if line.rule else line for line in document.lines
    )


def compare(old: Revision, new: Revision) -> Iterator[Difference]:
    """The lines that differ, with some around them; passwords masked, so that a change of a password alone is not seen."""
    before, after = old.text.splitlines(), new.text.splitlines()
    # Where a line stands there a thousand times, as blank ones may, difflib's time would grow with the square of them.
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=max(len(before), len(after)) > LONG)
    for position, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if position:
            yield Difference(Side.BOTH, 0, "")
        for action, i1, i2, j1, j2 in group:
            if action == "equal":
                yield from (Difference(Side.BOTH, j1 + n + 1, line) for n, line in enumerate(after[j1:j2]))
            else:
                yield from (Difference(Side.OLD, i1 + n + 1, line) for n, line in enumerate(before[i1:i2]))
                yield from (Difference(Side.NEW, j1 + n + 1, line) for n, line in enumerate(after[j1:j2]))


def _with_password(line: Line, token: str) -> Line:
    assert line.rule is not None
    try:
        return line.with_password(unseal(token, target_of(line.rule)))
    except PasswordUnreadable:
        return line
