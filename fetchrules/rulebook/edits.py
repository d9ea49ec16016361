"""Changing rules one by one, as forms do: the text follows, each line changed as little as can be."""

from collections.abc import Iterable
from dataclasses import replace

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from fetchrules import tasks
from fetchrules.models import FetchRule, NextReason, Pause, ServiceSettings
from fetchrules.rulebook.branches import choose_branches
from fetchrules.rulebook.order import STEP
from fetchrules.rulebook.orphans import offered_to
from fetchrules.rulebook.renaming import Ledger, Succession, carry_on, ledgers_left
from fetchrules.rulebook.rows import CONTENT, PLACE, fill, line_of
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import Claims, account_of, sources_of
from fetchrules.ruletext.spec import MASK, Rule, Spelling
from fetchrules.ruletext.validate import passing_fault, problems_of
from fetchrules.sources import folders_of, pass_nothing, source_of
from fetchrules.sources import pass_present as pass_over_present
from fetchrules.sources import sources_of as source_rows


class SourceTaken(Exception):
    """Another rule that is switched on reads the same remote mailbox, and one of the two takes mail away from the other."""


class LedgerTaken(Exception):
    """The ledger that a new rule was to go on with is read by another rule, or is not that of its recipient."""


class RuleInvalid(Exception):
    """The rule cannot be written as a line, or cannot do what it is to do once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems


def set_rule(
    row: FetchRule | None,
    wanted: Rule,
    owner: User | None = None,
    *,
    pass_present: bool | None = None,
    other_mailbox: bool = False,
    same_mailbox: int | None = None,
) -> FetchRule:
    """Make `row` say `wanted` (a masked password: the stored one) and poll it at once; None: a new rule, the last of the text.

    Only the characters of what changed are changed in the rule's line. `pass_present`: what lies on the server by then counts as
    collected, or does not any more; None: as it is. A rule that logs in elsewhere goes on with its ledger, unless `other_mailbox`
    says that all that lies there is to be collected. `same_mailbox`: the name of the orphan that a new rule goes on with.

    Raises RuleInvalid, SourceTaken, LedgerTaken, PasswordUnreadable, FetchRule.DoesNotExist.
    """
    errors = tuple(problem for problem in problems_of(wanted) if problem.is_error)
    if errors:
        raise RuleInvalid(errors)
    try:
        with transaction.atomic():
            _count_a_change()
            _check_source(row, wanted)
            # As the row is now: a poll may have written its result since the caller read it.
            known = FetchRule.objects.select_related("source").get(id=row.id) if row else None
            _check_passing(known, wanted, pass_present)
            former = _ledger_before(known, wanted, same_mailbox)
            branch = choose_branches({0: (wanted, known)})[0]
            if former is not None or other_mailbox:
                carry_on([Succession(wanted, branch, None if other_mailbox else former)], {known.id} if known else ())
            saved = known or _new_row(owner)
            saved.line = _line_for(known, wanted).text
            fill(saved, wanted, timezone.now())
            saved.source = source_rows(wanted, branch)[0]
            saved.revision = known.revision + 1 if known else 1
            saved.save(update_fields=[*CONTENT, *PLACE] if known else None)
            if pass_present:
                pass_over_present([(wanted, branch)])
            elif pass_present is False:
                pass_nothing({(account_of(wanted), branch)})
            tasks.wake()
    except IntegrityError as error:
        raise SourceTaken from error
    return saved


def switch_rules(rules: QuerySet[FetchRule], *, on: bool) -> int:
    """Switch `rules` on (to be polled at once) or off; how many that changed. Raises SourceTaken."""
    now = timezone.now()
    changes: dict[str, object] = {"enabled": on, "revision": F("revision") + 1, "edited_at": now}
    if on:
        changes |= {"next_poll_at": now, "next_reason": NextReason.SAVED, "failures": 0}
        changes |= {"pause": Pause.NONE, "paused_until": None}
    try:
        with transaction.atomic():
            _count_a_change()
            chosen = FetchRule.objects.filter(id__in=list(rules.values_list("id", flat=True)))
            changed = chosen.filter(enabled=not on).update(**changes)
            if on and _shared_and_emptied(chosen):
                raise SourceTaken
            tasks.wake()
    except IntegrityError as error:
        raise SourceTaken from error
    return changed


def delete_rules(rules: Iterable[FetchRule]) -> int:
    """Delete `rules` with their lines; how many. Comments stay in the text, and so does the ledger of the mailboxes."""
    doomed = {rule.id for rule in rules}
    with transaction.atomic():
        _count_a_change()
        heirs: list[FetchRule] = []
        orphaned = ""
        for row in FetchRule.objects.order_by("position", "id").only("id", "before"):
            if row.id in doomed:
                orphaned += row.before
            elif orphaned:
                row.before = orphaned + row.before
                heirs.append(row)
                orphaned = ""
        FetchRule.objects.bulk_update(heirs, ["before"], batch_size=200)
        if orphaned:
            settings = ServiceSettings.current()
            ServiceSettings.objects.filter(id=1).update(text_tail=orphaned + settings.text_tail)
        return FetchRule.objects.filter(id__in=doomed).delete()[1].get("fetchrules.FetchRule", 0)


def _count_a_change() -> None:
    """Every preview made before this is out of date."""
    ServiceSettings.current()
    ServiceSettings.objects.filter(id=1).update(text_version=F("text_version") + 1)


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


def _new_row(owner: User | None) -> FetchRule:
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
    return FetchRule(owner=owner, position=position, before=above, line_end=ending)
