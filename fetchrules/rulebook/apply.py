"""Apply a text: all of it or nothing, in one transaction, and only to the rules that its preview was made for."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from fetchrules.ledger.source_mailboxes import collect_since
from fetchrules.ledger.source_mailboxes import pass_present as pass_over_present
from fetchrules.models import FetchRule, Revision, ServiceSettings, SourceMailbox
from fetchrules.rulebook import revisions
from fetchrules.rulebook.arrangement import Arrangement, Key, arrange
from fetchrules.rulebook.edits import leads_elsewhere
from fetchrules.rulebook.ledgers import Saved, settle
from fetchrules.rulebook.preview import NOTHING_CHOSEN, Choices, Entry, Preview, Verdict, preview
from fetchrules.rulebook.rows import CONTENT, PLACE, fill, password_of
from fetchrules.rulebook.text import Stored, joined
from fetchrules.ruletext.document import Document


class TextChanged(Exception):
    """The rules were changed since the preview was made."""


class TextRefused(Exception):
    """The text has errors; nothing was changed."""

    def __init__(self, seen: Preview) -> None:
        super().__init__(", ".join(problem.code for problem in seen.errors))
        self.preview = seen


class MeaningUnsaid(TextRefused):
    """Mailboxes got other names, or ledgers are offered, and nobody was told so; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done. `revision` is None if there was nothing to do.

    `continued`: rules that continue the ledger of another name of their mailbox; `begun`: those that do not, although they could.
    """

    version: int
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    continued: int = 0
    begun: int = 0
    revision: Revision | None = None

    @property
    def counts(self) -> dict[str, int]:
        """What the audit says of it; ledgers only if any was continued or begun."""
        ledgers = {"continued": self.continued, "begun": self.begun}
        changes = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return changes | {name: number for name, number in ledgers.items() if number}


def apply(
    document: Document,
    version: int,
    choices: Choices = NOTHING_CHOSEN,
    *,
    by: User | None,
    told: str | None = None,
    note: str = "",
    restricted: Container[int] = (),
) -> Applied:
    """Make the rules say what `document` says. New and changed rules are polled at once.

    `by` is the author of the revision; `acts.text` checks their rights. A rule stays whose it is; a new one is the administrators'.
    A rule at a place in `restricted` (0: the first rule of the text) is restricted if its target is another now.

    `told`: what the author was told of ledgers, as `Preview.meaning`; None: nobody has to be told.

    Raises TextChanged if the rules are no longer those of `version`, TextRefused and MeaningUnsaid.
    """
    with transaction.atomic():
        seen = preview(document, choices)
        if seen.version != version:
            raise TextChanged
        if seen.errors:
            raise TextRefused(seen)
        if told is not None and told != seen.meaning:
            raise MeaningUnsaid(seen)
        new = arrange(seen, delete_missing=choices.delete_missing)
        moved = [stored.row for stored in seen.stored if _has_moved(stored, new)]
        counts = {"added": len(seen.added), "changed": len(seen.changed), "removed": len(new.removed)}
        if (new.start, new.tail) == (seen.start, seen.tail) and not moved and not any(counts.values()):
            return Applied(version, unchanged=len(seen.entries))
        if not Revision.objects.filter(version=version).exists():  # the first text, or rules were changed one by one
            was = "".join(joined(seen.start, (stored.place for stored in seen.stored), seen.tail))
            revisions.record(version, was, [stored.row for stored in seen.stored])
        if not ServiceSettings.advance_text(version):
            raise TextChanged
        saved = _to_settle(new, choices)
        sources = settle(saved, new.removed)
        rows = _write(seen, new, moved, sources, restricted)
        met_first = [row for key in new.entries if key < 0 for row in sources[key]]
        if isinstance(choices.since, date):
            collect_since(met_first, choices.since)
        elif choices.pass_present:
            pass_over_present(met_first)
        old = {stored.row.id: stored.place for stored in seen.stored}
        became = "".join(joined(new.start, (new.places.get(key) or old[key] for key in new.order), new.tail))
        revision = revisions.record(version + 1, became, [rows[key] for key in new.order], by, note, **counts)
    continued = sum(one.former is not None for one in saved.values())
    begun = sum(one.other_mailbox for one in saved.values())
    return Applied(
        version + 1, **counts, unchanged=len(seen.unchanged), continued=continued, begun=begun, revision=revision
    )


def _to_settle(new: Arrangement, choices: Choices) -> dict[Key, Saved]:
    """The rules to write, each with the ledger that its own continues."""
    saved = {}
    for key, entry in new.entries.items():
        if entry.verdict is not Verdict.UNCHANGED:
            former = entry.continued(choices)
            stored = entry.stored.row if entry.stored else None
            saved[key] = Saved(entry.rule, stored, former, other_mailbox=former is None and entry.former is not None)
    return saved


def _has_moved(stored: Stored, new: Arrangement) -> bool:
    """Whether the row stays and has another place in the text."""
    row = stored.row
    if row.id not in new.positions:
        return False
    return new.positions[row.id] != row.position or new.places.get(row.id, stored.place) != stored.place


def _write(
    seen: Preview,
    new: Arrangement,
    moved: Sequence[FetchRule],
    sources: Mapping[Key, Sequence[SourceMailbox]],
    restricted: Container[int],
) -> dict[Key, FetchRule]:
    """Write everything. Returns the rows by their keys. `sources`: the mailboxes that each written rule reads."""
    rows = {stored.row.id: stored.row for stored in seen.stored if stored.row.id not in new.removed}
    written = {key: entry for key, entry in new.entries.items() if entry.verdict is not Verdict.UNCHANGED}
    rules = {key: replace(entry.rule, password=_password(entry)) for key, entry in written.items()}
    now = timezone.now()
    places = {key: number for number, key in enumerate(new.entries)}
    for key, rule in rules.items():
        elsewhere = leads_elsewhere(rows.get(key), rule)
        row = rows.setdefault(key, FetchRule(revision=0)) if key < 0 else rows[key]
        row.restricted = row.restricted or (elsewhere and places[key] in restricted)
        fill(row, rule, now)
        row.source, row.revision = sources[key][0], row.revision + 1
    for key, row in rows.items():
        row.position = new.positions[key]
        if place := new.places.get(key):
            row.before, row.line, row.line_end = place.before, place.line, place.ending
    FetchRule.objects.filter(id__in=new.removed).delete()
    changed = {key for key in written if key > 0}
    # Rules may exchange their mailboxes: none of them holds one while the others are written.
    FetchRule.objects.filter(id__in=changed).update(enabled=False)
    _update([rows[key] for key in changed], (*CONTENT, *PLACE))
    _update([row for row in moved if row.id not in changed], PLACE)
    FetchRule.objects.bulk_create([rows[key] for key in written if key < 0])
    ServiceSettings.objects.filter(id=1).update(text_start=new.start, text_tail=new.tail)
    return rows


def _password(entry: Entry) -> str:
    """The password to write: that of the line, or of another rule for the same account, or MASK to keep that of the row."""
    own = entry.stored.row if entry.stored else None
    if not isinstance(entry.kept, FetchRule) or entry.kept is own:
        return entry.rule.password
    return password_of(entry.kept)


def _update(rows: Iterable[FetchRule], columns: Sequence[str]) -> None:
    """Update by inserts that conflict, which is ten times faster than `bulk_update` on wide rows."""
    FetchRule.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=list(columns))
