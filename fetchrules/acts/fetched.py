"""Lists of letters that other collectors have fetched: filed with the mailboxes of the rules that collect from there now."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction

from fetchrules.acts import audit, roles
from fetchrules.acts.text import apply
from fetchrules.ledger import fetched
from fetchrules.ledger.source_mailboxes import found_or_made
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.rule import MASK
from fetchrules.rulebook.apply import Applied
from fetchrules.rulebook.preview import NOTHING_CHOSEN, Choices
from fetchrules.ruletext.document import Document
from fetchrules.ruletext.formats.fetched import FetchedList, Handed, hand_over
from fetchrules.ruletext.sources import Source, sources_of


def take_over(lists: Sequence[FetchedList], *, by: User | None, note: str = "") -> list[Handed]:
    """Let these letters count as collected at the next complete listings of their mailboxes. Returns how many rules that concerns.

    Raises PermissionDenied if `by` is no administrator.
    """
    with transaction.atomic():
        if by is not None and not roles.administers(roles.as_stored(by)):
            raise PermissionDenied
        readers = _readers()
        handed = hand_over(lists, {source: len(recipients) for source, recipients in readers.items()})
        names: dict[tuple[Source, str], set[str]] = {}
        for one in handed:
            for source in one.sources:
                for recipient in readers[source]:
                    names.setdefault((source, recipient), set()).update(one.fetched.uids)
        if names:
            rows = found_or_made(names)
            by_row: dict[SourceMailbox, set[str]] = {rows[key]: uids for key, uids in names.items()}
            fetched.file(by_row)
            matched = [one for one in handed if one.sources]
            letters = sum(len(one.fetched.uids) for one in matched)
            unmatched = len(handed) - len(matched)
            audit.record(by, "fetched_lists_filed", note, accounts=len(matched), count=letters, unmatched=unmatched)
    return handed


def apply_and_take_over(
    document: Document,
    version: int,
    choices: Choices = NOTHING_CHOSEN,
    lists: Sequence[FetchedList] = (),
    *,
    by: User | None,
    told: str | None = None,
    note: str = "",
    lists_note: str = "",
) -> tuple[Applied, list[Handed]]:
    """As `acts.text.apply`, and file the lists with the rules that are there then, before any of these is polled."""
    with transaction.atomic():
        done = apply(document, version, choices, by=by, told=told, note=note)
        return done, take_over(lists, by=by, note=lists_note) if lists else []


def _readers() -> dict[Source, list[str]]:
    """The mailboxes that rules read, with the recipient of each of these rules."""
    readers: dict[Source, list[str]] = {}
    for row in FetchRule.objects.select_related("source").iterator(chunk_size=1000):
        for source in sources_of(row.as_rule(MASK)):
            readers.setdefault(source, []).append(row.source.recipient)
    return readers
