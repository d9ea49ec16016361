"""Revisions of the rule text: the whole text as it was after each change of it, to compare and to go back to."""

import difflib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from django.contrib.auth.models import User

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule, Revision, ServiceSettings
from fetchrules.ruletext.document import Document, parse
from fetchrules.ruletext.line import Line
from fetchrules.secrets.sealing import target_of, unseal

KEPT = 50
"""How many revisions are kept."""
_CONTEXT = 3
LONG = 5000
"""In a text of more lines, those that occur often are ignored while it is compared."""
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


def record(
    version: int, text: str, rows: Sequence[FetchRule], author: User | None = None, note: str = "", **counts: int
) -> Revision:
    """Keep the masked `text` of `version` with the passwords of its rules, `rows` in its order, and delete the oldest revisions.

    `counts`: how many rules were added, changed and removed.
    """
    revision = Revision.objects.create(
        author=author,
        version=version,
        note=note,
        text=text,
        passwords=[row.password for row in rows],
        restricted=[place for place, row in enumerate(rows) if row.restricted],
        **counts,
    )
    kept = Revision.objects.values_list("id", flat=True)[:KEPT]
    Revision.objects.exclude(id__in=list(kept)).delete()
    return revision


def current_version() -> int:
    return ServiceSettings.current().text_version


def document_of(revision: Revision) -> Document:
    """The text of a revision with its passwords; one that no key opens any more stays masked."""
    document = parse(revision.text)
    passwords = iter(revision.passwords)
    return document.with_lines(
        _with_password(line, next(passwords, "")) if line.rule else line for line in document.lines
    )


def compare(old: Revision, new: Revision) -> Iterator[Difference]:
    """The lines that differ, with some around them. Passwords are masked, so a change of a password alone does not show."""
    before, after = old.text.splitlines(), new.text.splitlines()
    # difflib's time grows with the square of the number of equal lines, such as blank ones.
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
