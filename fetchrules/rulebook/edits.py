"""One rule of the book at a time: its row and its line, changed as little as possible, and the ledger that it continues.

`acts` decides who may change what. Each change is one transaction: `lock`, read and check, write, `advance`. What was read before
the lock may be out of date: somebody else may have pointed the rule at another server, given it away, or added rules meanwhile.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from django.db.models import F
from django.utils import timezone

from fetchrules.ledger.source_mailboxes import Ledger, folders_of, source_of
from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.rulebook.arrangement import STEP
from fetchrules.rulebook.ledgers import Saved, ledgers_left, offered_to, settle
from fetchrules.rulebook.rows import CONTENT, PLACE, fill, line_of
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import account_of
from fetchrules.secrets.sealing import target_of


class LedgerTaken(Exception):
    """The ledger that a new rule was to continue is read by another rule, or is not that of its recipient."""


def lock() -> None:
    """Let no other change of rules happen until the transaction ends.

    On SQLite the transaction does that by itself, on PostgreSQL the row of settings.
    """
    ServiceSettings.current()
    ServiceSettings.objects.filter(id=1).update(text_version=F("text_version"))


def advance() -> None:
    """Count a change: every preview made before it is out of date."""
    ServiceSettings.objects.filter(id=1).update(text_version=F("text_version") + 1)


def leads_elsewhere(known: FetchRule | None, wanted: Rule) -> bool:
    """Whether `wanted` connects to another server, or logs in as another user, than `known`."""
    return known is None or target_of(known.as_rule(MASK)) != target_of(wanted)


def collected_since(row: FetchRule) -> date | None:
    """The day since which letters present in the mailbox of `row` are collected at the next poll, if it was named."""
    return folders_of(row.source).exclude(since=None).values_list("since", flat=True).first()


def is_to_be_passed(row: FetchRule, wanted: Rule | None = None) -> bool:
    """Whether all letters present in the mailbox of `row` count as collected at the next poll, also once it says `wanted`."""
    stays = wanted is None or source_of(row.source).account == account_of(wanted)
    return stays and folders_of(row.source).filter(pass_present=True).exists()


def write(row: FetchRule, wanted: Rule, source: SourceMailbox, columns: Sequence[str] = ()) -> None:
    """Make `row` say `wanted` (a masked password: the stored one) and read `source`. `columns`: what else was changed in it.

    Raises PasswordUnreadable, and IntegrityError where another rule reads the mailbox.
    """
    is_new = row._state.adding
    masked, line = replace(wanted, password=MASK), None if is_new else line_of(row)
    row.line = edit(line, masked).text if line and line.rule else render_rule(masked, Spelling.BLANKS)
    before = {name: getattr(row, name) for name in ("password", "tls_seen")}
    fill(row, wanted, timezone.now())
    row.source = source
    row.revision = 1 if is_new else row.revision + 1
    # Unchanged, these two are not written: at this moment the key may be replaced, or a poll see TLS for the first time.
    stays = {name for name, value in before.items() if getattr(row, name) == value}
    written = [*columns, *(name for name in (*CONTENT, *PLACE) if name not in stays)]
    row.save(update_fields=None if is_new else written)


def new_row() -> FetchRule:
    """A row below everything in the text, comments included."""
    settings = ServiceSettings.current()
    last = FetchRule.objects.order_by("-position", "-id").first()
    ending = last.line_end if last else "\n"
    if last and not last.line_end and not settings.text_tail:
        FetchRule.objects.filter(id=last.id).update(line_end="\n")
    above = settings.text_tail
    if above and not above.endswith(("\n", "\r")):
        above, ending = above + "\n", ""
    ServiceSettings.objects.filter(id=1).update(text_tail="")
    position = last.position + STEP if last else STEP
    return FetchRule(position=position, before=above, line_end=ending)


def take_out(ids: Collection[int]) -> None:
    """Delete these rules with their lines. Comments and the ledgers of their mailboxes stay."""
    below: list[FetchRule] = []
    comments = ""
    for row in FetchRule.objects.order_by("position", "id").only("id", "before"):
        if row.id in ids:
            comments += row.before
        elif comments:
            row.before = comments + row.before
            below.append(row)
            comments = ""
    FetchRule.objects.bulk_update(below, ["before"], batch_size=200)
    if comments:
        settings = ServiceSettings.current()
        ServiceSettings.objects.filter(id=1).update(text_tail=comments + settings.text_tail)
    FetchRule.objects.filter(id__in=ids).delete()


def settle_ledger(
    known: FetchRule | None, wanted: Rule, *, other_mailbox: bool, same_mailbox: int | None
) -> list[SourceMailbox]:
    """The rows of the ledger that the rule reads from now on, one for each folder. Raises LedgerTaken."""
    former: Ledger | None = None
    if known is not None:
        former = ledgers_left({0: (wanted, known)}).get(0)
    elif same_mailbox is not None:
        former = next((orphan.ledger for orphan in offered_to(wanted) if orphan.name == same_mailbox), None)
        if former is None:
            raise LedgerTaken
    return settle({0: Saved(wanted, known, None if other_mailbox else former, other_mailbox)})[0]
