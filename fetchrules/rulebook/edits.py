"""Changing rules one by one, as forms do: the text follows, each line changed as little as can be."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from fetchrules import roles, tasks
from fetchrules.ledger.sources import Ledger, folders_of, source_of
from fetchrules.ledger.sources import pass_present as pass_over_present
from fetchrules.models import FetchRule, Pause, ServiceSettings, SourceMailbox
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.rulebook.arrangement import STEP
from fetchrules.rulebook.guard import RuleInvalid, Writer, advance, check_password, leads_elsewhere, lock, present_row
from fetchrules.rulebook.ledgers import Saved, ledgers_left, offered_to, settle
from fetchrules.rulebook.rows import CONTENT, LAST_RESULT, PLACE, fill, line_of
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import Claims, account_of, sources_of
from fetchrules.ruletext.validate import passing_fault, problems_of
from fetchrules.schedule import NextReason


class SourceTaken(Exception):
    """Another rule that is switched on reads the same remote mailbox, and one of the two takes mail away from the other."""


class LedgerTaken(Exception):
    """The ledger that a new rule was to go on with is read by another rule, or is not that of its recipient."""


@dataclass(frozen=True, slots=True)
class Given:
    """Whom an administrator gives a rule to; `owner` None: it is the administrators'."""

    owner: User | None


def set_rule(
    row: FetchRule | None,
    wanted: Rule,
    *,
    by: User | None,
    seen: int | None = None,
    given: Given | None = None,
    restricted: bool | None = None,
    pass_present: bool | None = None,
    other_mailbox: bool = False,
    same_mailbox: int | None = None,
) -> FetchRule:
    """Make `row` say `wanted` (a masked password: the stored one) and poll it at once; None: a new rule, the last of the text.

    `by` writes it; None: the command line, an administrator's. `seen`: the revision of the rule that the change was made from;
    None: whichever it is at. `given` and `restricted` are for administrators to say; None: as it is. A rule is restricted as soon
    as somebody else writes its target, or gets it.

    Only the characters of what changed are changed in the rule's line. `pass_present`: what lies on the server by then counts as
    collected, or does not any more; None: as it is. A rule that logs in elsewhere goes on with its ledger, unless `other_mailbox`
    says that all that lies there is to be collected. `same_mailbox`: the name of the orphan that a new rule goes on with.

    Raises RuleInvalid, RuleChanged, PasswordNeeded, SourceTaken, LedgerTaken, PasswordUnreadable, PermissionDenied, and
    FetchRule.DoesNotExist also where the rule is not `by`'s to change any more.
    """
    errors = tuple(problem for problem in problems_of(wanted) if problem.is_error)
    if errors:
        raise RuleInvalid(errors)
    try:
        with transaction.atomic():
            lock()
            writer = Writer.now(by)
            known = present_row(row, writer, seen) if row else None
            writer.check_own(wanted, is_new=known is None)
            check_password(known, wanted)
            _check_source(known, wanted)
            _check_passing(known, wanted, pass_present)
            former = _ledger_before(known, wanted, same_mailbox)
            sources = settle({0: Saved(wanted, known, None if other_mailbox else former, other_mailbox)})[0]
            saved = _write(known, wanted, sources[0], writer, given, restricted)
            if pass_present is not None:
                pass_over_present(sources if pass_present else folders_of(sources[0]), passed=pass_present)
            advance()
            tasks.wake()
    except IntegrityError as error:
        raise SourceTaken from error
    return saved


def _write(
    known: FetchRule | None,
    wanted: Rule,
    source: SourceMailbox,
    writer: Writer,
    given: Given | None,
    restricted: bool | None,
) -> FetchRule:
    """Write the row; what `set_rule` had to check is checked."""
    row = known or _new_row()
    if known is None and not writer.edits_all:
        row.owner, row.owned = writer.user, True
    columns = _assign(row, writer, given, restricted, elsewhere=leads_elsewhere(known, wanted))
    row.line = _line_for(known, wanted).text
    before = {name: getattr(row, name) for name in ("password", "tls_seen")}
    fill(row, wanted, timezone.now())
    row.source = source
    row.revision = known.revision + 1 if known else 1
    # What stays of these two is not written: at this moment the key may be replaced, or a poll see TLS for the first time.
    stays = {name for name, value in before.items() if getattr(row, name) == value}
    columns += [name for name in (*CONTENT, *PLACE) if name not in stays]
    row.save(update_fields=columns if known else None)
    return row


def switch_rules(rules: QuerySet[FetchRule], *, on: bool, by: User | None) -> list[FetchRule]:
    """Switch those of `rules` that `by` may change on (to be polled at once) or off; those that this changed.

    Raises SourceTaken, RuleInvalid where an owner would switch on what delivers to somebody else, PermissionDenied, and
    FetchRule.DoesNotExist where none is theirs.
    """
    now = timezone.now()
    changes: dict[str, object] = {"enabled": on, "revision": F("revision") + 1, "edited_at": now}
    if on:
        changes |= {"next_poll_at": now, "next_reason": NextReason.SAVED, "failures": 0}
        changes |= {"pause": Pause.NONE, "paused_until": None}
    try:
        with transaction.atomic():
            lock()
            writer = Writer.now(by)
            chosen = _still_theirs(rules, writer)
            switched = list(chosen.filter(enabled=not on))
            if on:
                writer.check_recipients(switched)
            if switched:
                chosen.filter(enabled=not on).update(**changes)
                advance()
            if on and _shared_and_emptied(chosen):
                raise SourceTaken
            tasks.wake()
    except IntegrityError as error:
        raise SourceTaken from error
    return switched


def delete_rules(rules: Iterable[FetchRule], *, by: User | None) -> list[FetchRule]:
    """Delete those of `rules` that `by` may change, with their lines; those rules. Comments and the ledger of the mailboxes stay.

    Raises PermissionDenied, and FetchRule.DoesNotExist where none is theirs.
    """
    with transaction.atomic():
        lock()
        deleted = list(_still_theirs(rules, Writer.now(by)))
        deleted_ids = {rule.id for rule in deleted}
        below: list[FetchRule] = []
        comments = ""
        for row in FetchRule.objects.order_by("position", "id").only("id", "before"):
            if row.id in deleted_ids:
                comments += row.before
            elif comments:
                row.before = comments + row.before
                below.append(row)
                comments = ""
        FetchRule.objects.bulk_update(below, ["before"], batch_size=200)
        if comments:
            settings = ServiceSettings.current()
            ServiceSettings.objects.filter(id=1).update(text_tail=comments + settings.text_tail)
        FetchRule.objects.filter(id__in=deleted_ids).delete()
        advance()
    return deleted


def take_over(rules: QuerySet[FetchRule], *, by: User | None) -> list[FetchRule]:
    """Make those of `rules` whose owner is gone the administrators', to be polled at once; those rules. They stay restricted.

    Raises PermissionDenied where `by` is no administrator, and FetchRule.DoesNotExist where the owners are all there.
    """
    with transaction.atomic():
        lock()
        writer = Writer.now(by)
        if not writer.administers:
            raise PermissionDenied
        taken = list(_still_theirs(rules.filter(FetchRule.OWNER_GONE), writer))
        FetchRule.objects.filter(id__in=[rule.id for rule in taken]).update(
            owner=None,
            owned=False,
            revision=F("revision") + 1,
            next_poll_at=timezone.now(),
            next_reason=NextReason.SAVED,
        )
        advance()
        tasks.wake()
    return taken


def _still_theirs(rules: Iterable[FetchRule], writer: Writer) -> QuerySet[FetchRule]:
    """Those of `rules` that `writer` may change, in the order of the text. Raises FetchRule.DoesNotExist where there is none."""
    chosen = writer.rules.filter(id__in=[rule.id for rule in rules]).order_by("position", "id")
    if not chosen.exists():
        raise FetchRule.DoesNotExist
    return chosen


def _assign(
    row: FetchRule, writer: Writer, given: Given | None, restricted: bool | None, *, elsewhere: bool
) -> list[str]:
    """Set owner and restriction of `row`, as far as `writer` may; the columns that were set. `elsewhere`: its target changes."""
    if not writer.administers:
        if given is not None or restricted is not None:
            raise PermissionDenied
        row.restricted = row.restricted or elsewhere
        return ["restricted"]
    if restricted is not None:
        row.restricted = restricted
    if given is None or given.owner == row.owner:
        return ["restricted"]
    row.owner, row.owned = given.owner, given.owner is not None
    row.restricted = row.restricted or not (given.owner is None or roles.administers(given.owner))
    if row._state.adding:
        return ["restricted", "owner", "owned"]
    row.given_at = timezone.now()  # what happened before was another's mail, or nobody's in particular
    for name, value in LAST_RESULT.items():
        setattr(row, name, value)
    return ["restricted", "owner", "owned", "given_at", *LAST_RESULT]


def _check_source(row: FetchRule | None, wanted: Rule) -> None:
    """Two rules may share a mailbox only if both leave its mail; the database itself only forbids two that do not keep it."""
    hosts = {source.host for source in sources_of(wanted)}
    others = FetchRule.objects.filter(enabled=True, source__host__in=hosts)
    claims: Claims[int] = Claims()
    for other in others.exclude(id=row.id) if row else others:
        claims.claim(other.as_rule(MASK), other.id)
    if claims.conflict(wanted) is not None:
        raise SourceTaken


def _check_passing(row: FetchRule | None, wanted: Rule, pass_present: bool | None) -> None:
    """Raises RuleInvalid where what lies on the server cannot count as collected, though it is said now or was said before."""
    fault = passing_fault(wanted)
    if fault is not None and pass_present:
        raise RuleInvalid((Problem(fault, field="pass_present"),))
    if fault is not None and pass_present is None and row is not None and is_to_be_passed(row, wanted):
        raise RuleInvalid((Problem(Code.PRESENT_PENDING, field="pass_present"),))


def is_to_be_passed(row: FetchRule, wanted: Rule | None = None) -> bool:
    """Whether what lies in the mailbox of `row` counts as collected at the next poll, also if it says `wanted`."""
    stays = wanted is None or source_of(row.source).account == account_of(wanted)
    return stays and folders_of(row.source).filter(pass_present=True).exists()


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


def _shared_and_emptied(rules: QuerySet[FetchRule]) -> bool:
    """Whether one of `rules` shares its mailbox, and not all who read it leave its mail there."""
    hosts = rules.filter(enabled=True).values("source__host")
    readers = FetchRule.objects.filter(enabled=True, source__host__in=hosts)
    claims: Claims[int] = Claims()
    return any(claims.claim(reader.as_rule(MASK), reader.id) is not None for reader in readers)


def _line_for(row: FetchRule | None, wanted: Rule) -> Line:
    """The line, masked, in the spelling that it has."""
    masked = replace(wanted, password=MASK)
    line = line_of(row) if row else None
    return edit(line, masked) if line and line.rule else parse_line(render_rule(masked, Spelling.BLANKS))


def _new_row() -> FetchRule:
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
