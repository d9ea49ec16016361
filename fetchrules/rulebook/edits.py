"""One rule of the book at a time: its row, its line, each changed as little as can be, and the ledger that it goes on with.

`acts` decides who may change what. Each change is one transaction: `lock`, read and check, write, `advance`. What was read before
the lock may be out of date: somebody else may have pointed the rule at another server, given it away, or added rules meanwhile.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from django.db.models import F
from django.utils import timezone

from fetchrules.ledger.source_mailboxes import Ledger, folders_of, source_of
from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.rulebook.arrangement import STEP
from fetchrules.rulebook.ledgers import Saved, ledgers_left, offered_to, settle
from fetchrules.rulebook.rows import CONTENT, PLACE, fill, line_of
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import account_of
from fetchrules.secrets.sealing import target_of


class LedgerTaken(Exception):
    """The ledger that a new rule was to go on with is read by another rule, or is not that of its recipient."""


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
    """Whether `wanted` says where to connect to, and as whom, other than `known` does."""
    return known is None or target_of(known.as_rule(MASK)) != target_of(wanted)


def is_to_be_passed(row: FetchRule, wanted: Rule | None = None) -> bool:
    """Whether what lies in the mailbox of `row` counts as collected at the next poll, also if it says `wanted`."""
    stays = wanted is None or source_of(row.source).account == account_of(wanted)
    return stays and folders_of(row.source).filter(pass_present=True).exists()


def write(row: FetchRule, wanted: Rule, source: SourceMailbox, columns: Sequence[str] = ()) -> None:
    """Make `row` say `wanted` (a masked password: the stored one) and read `source`. `columns`: what else was changed in it.

    Raises PasswordUnreadable, and IntegrityError where another rule reads the mailbox.
    """
    is_new = row._state.adding
    row.line = _line_for(None if is_new else row, wanted).text
    before = {name: getattr(row, name) for name in ("password", "tls_seen")}
    fill(row, wanted, timezone.now())
    row.source = source
    row.revision = 1 if is_new else row.revision + 1
    # What stays of these two is not written: at this moment the key may be replaced, or a poll see TLS for the first time.
    stays = {name for name, value in before.items() if getattr(row, name) == value}
    written = [*columns, *(name for name in (*CONTENT, *PLACE) if name not in stays)]
    row.save(update_fields=None if is_new else written)


def new_row() -> FetchRule:
    """A row below everything that the text has, comments included."""
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
    former = _ledger_before(known, wanted, same_mailbox)
    return settle({0: Saved(wanted, known, None if other_mailbox else former, other_mailbox)})[0]


def _ledger_before(row: FetchRule | None, wanted: Rule, same_mailbox: int | None) -> Ledger | None:
    """The ledger that the rule's own goes on with. Raises LedgerTaken."""
    if row is not None:
        return ledgers_left({0: (wanted, row)}).get(0)
    if same_mailbox is None:
        return None
    for orphan in offered_to(wanted):
        if orphan.name == same_mailbox:
            return orphan.ledger
    raise LedgerTaken


def _line_for(row: FetchRule | None, wanted: Rule) -> Line:
    """The line, masked, in the spelling that it has."""
    masked = replace(wanted, password=MASK)
    line = line_of(row) if row else None
    return edit(line, masked) if line and line.rule else parse_line(render_rule(masked, Spelling.BLANKS))
