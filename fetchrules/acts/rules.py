"""Rules one by one, as forms, buttons and lists change them: added, changed, switched, polled, paused, deleted, taken over.

Each function raises FetchRule.DoesNotExist where none of the rules is `by`'s to do this to, and PermissionDenied where they may do
it to no rule at all; `by` None is the command line, which an administrator uses. It returns the rules that it changed.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import astuple, dataclass
from datetime import date, datetime

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from fetchrules import tasks
from fetchrules.acts import audit, roles
from fetchrules.acts.writer import RuleInvalid, SourceTaken, Writer, check_change, check_shared
from fetchrules.ledger import runs
from fetchrules.ledger.source_mailboxes import collect_since, folders_of, source_of
from fetchrules.ledger.source_mailboxes import pass_present as pass_over_present
from fetchrules.models import FetchRule, Pause, Run, SourceMailbox
from fetchrules.rule import Rule
from fetchrules.rulebook import edits
from fetchrules.rulebook.rows import LAST_RESULT, changes_of
from fetchrules.ruletext.validate import problems_of
from fetchrules.schedule import NextReason
from fetchrules.words.names import mailbox_name


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
    since: date | None = None,
    other_mailbox: bool = False,
    same_mailbox: int | None = None,
    by_hand: bool = False,
) -> FetchRule:
    """Make `row` say `wanted` (a masked password: the stored one) and poll it at once; None: a new rule, the last of the text.

    `seen`: the revision of the rule that the change was made from; None: whichever it is at. `given` and `restricted` are for
    administrators to say; None: as it is. A rule is restricted as soon as somebody else writes its target, or gets it.

    Only the characters of what changed are changed in the rule's line. `pass_present`: what lies on the server by then counts as
    collected, or does not any more; None: as it is. `since`: only what arrived before that day counts as collected. A rule that
    logs in elsewhere goes on with its ledger, unless `other_mailbox` says that all that lies there is to be collected.
    `same_mailbox`: the name of the orphan that a new rule goes on with. `by_hand`: the poll is one that somebody asked for, which
    stays in the journal though it finds nothing.

    Raises also RuleInvalid, RuleChanged, PasswordNeeded, SourceTaken, LedgerTaken and PasswordUnreadable.
    """
    errors = tuple(problem for problem in problems_of(wanted) if problem.is_error)
    if errors:
        raise RuleInvalid(errors)
    try:
        with transaction.atomic():
            edits.lock()
            writer = Writer.now(by)
            known = writer.present(row, seen) if row else None
            writer.check_own(wanted, is_new=known is None)
            check_change(known, wanted, pass_present if since is None else False)
            before, was = copy(known), _Met.of(known)
            sources = edits.settle_ledger(known, wanted, other_mailbox=other_mailbox, same_mailbox=same_mailbox)
            saved = known or edits.new_row()
            columns = _assign(saved, writer, given, restricted, elsewhere=edits.leads_elsewhere(known, wanted))
            edits.write(saved, wanted, sources[0], columns)
            if since is not None:
                collect_since(sources, since)
            elif pass_present is not None:
                pass_over_present(sources if pass_present else folders_of(sources[0]), passed=pass_present)
            if by_hand:
                runs.ask_for_poll(FetchRule.objects.filter(id=saved.id), timezone.now())
            edits.advance()
            _record_saved(by, saved, wanted, before, was)
            tasks.wake()
    except IntegrityError as error:
        raise SourceTaken from error
    return saved


def switch_rules(rules: QuerySet[FetchRule], *, on: bool, by: User | None) -> list[FetchRule]:
    """Switch `rules` on (to be polled at once) or off.

    Raises also SourceTaken, and RuleInvalid where an owner would switch on what delivers to somebody else.
    """
    now = timezone.now()
    changes: dict[str, object] = {"enabled": on, "revision": F("revision") + 1, "edited_at": now}
    if on:
        changes |= {"next_poll_at": now, "next_reason": NextReason.SAVED, "failures": 0}
        changes |= {"pause": Pause.NONE, "paused_until": None}
    try:
        with transaction.atomic():
            edits.lock()
            writer = Writer.now(by)
            chosen = writer.still_theirs(rules)
            switched = list(chosen.filter(enabled=not on))
            if on:
                writer.check_recipients(switched)
            if switched:
                chosen.filter(enabled=not on).update(**changes)
                edits.advance()
            if on:
                check_shared(chosen)
                tasks.wake()
            audit.record_each(by, "rule_switched_on" if on else "rule_switched_off", switched)
    except IntegrityError as error:
        raise SourceTaken from error
    return switched


def poll_rules(rules: QuerySet[FetchRule], *, by: User | None) -> list[FetchRule]:
    """Make `rules` due now and end their pauses; not those that are off, or whose owner is gone."""
    with transaction.atomic():
        asked = runs.ask_for_poll(_runnable(rules, by), timezone.now())
        audit.record_each(by, "rule_poll_asked", asked)
        tasks.wake()
    return asked


def pause_rules(rules: QuerySet[FetchRule], until: datetime | None, *, by: User | None) -> list[FetchRule]:
    """Poll `rules` no more, until then or (None) until they are resumed."""
    with transaction.atomic():
        paused = runs.pause(_runnable(rules, by), until)
        audit.record_each(by, "rule_paused", paused)
    return paused


def resume_rules(rules: QuerySet[FetchRule], *, by: User | None) -> list[FetchRule]:
    """End the pauses of `rules` and make them due; not those that are off, or whose owner is gone."""
    with transaction.atomic():
        resumed = runs.resume(_runnable(rules, by), timezone.now())
        audit.record_each(by, "rule_resumed", resumed)
        tasks.wake()
    return resumed


def delete_rules(rules: Iterable[FetchRule], *, by: User | None) -> list[FetchRule]:
    """Delete `rules` with their lines. Comments and the ledgers of the mailboxes stay."""
    with transaction.atomic():
        edits.lock()
        deleted = list(Writer.now(by).still_theirs(rules))
        edits.take_out({rule.id for rule in deleted})
        edits.advance()
        audit.record_each(by, "rule_deleted", deleted)
    return deleted


def take_over(rules: QuerySet[FetchRule], *, by: User | None) -> list[FetchRule]:
    """Make those of `rules` whose owner is gone the administrators', to be polled at once. They stay restricted."""
    with transaction.atomic():
        edits.lock()
        writer = Writer.now(by)
        if not writer.administers:
            raise PermissionDenied
        taken = list(writer.still_theirs(rules.filter(FetchRule.OWNER_GONE)))
        FetchRule.objects.filter(id__in=[rule.id for rule in taken]).update(
            owner=None,
            owned=False,
            revision=F("revision") + 1,
            next_poll_at=timezone.now(),
            next_reason=NextReason.SAVED,
        )
        edits.advance()
        audit.record_each(by, "rule_taken_over", taken)
        tasks.wake()
    return taken


def stop_run(run: Run, *, by: User) -> bool:
    """Let the poll end within seconds; False where it had ended. Raises Run.DoesNotExist where it is not theirs to stop."""
    with transaction.atomic():
        found = roles.runnable_runs(by).select_related("source").get(id=run.id)
        asked = runs.ask_to_stop(found.id)
        if asked:
            audit.record(by, "run_stop_asked", found.source)
    return asked


def _runnable(rules: QuerySet[FetchRule], by: User | None) -> QuerySet[FetchRule]:
    """Those of `rules` that `by` may poll and pause. Raises FetchRule.DoesNotExist where there is none."""
    ids = list(rules.values_list("id", flat=True))
    theirs = FetchRule.objects.all() if by is None else roles.runnable_rules(by)
    chosen = theirs.filter(id__in=ids)
    if not chosen.exists():
        raise FetchRule.DoesNotExist
    return chosen


def _assign(
    row: FetchRule, writer: Writer, given: Given | None, restricted: bool | None, *, elsewhere: bool
) -> Sequence[str]:
    """Set owner and restriction of `row`, as far as `writer` may; the columns that were set. `elsewhere`: its target changes."""
    if row._state.adding and not writer.edits_all:
        row.owner, row.owned = writer.user, True
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


@dataclass(frozen=True, slots=True)
class _Met:
    """What was said of the letters that a rule's first poll meets: all count as collected, or those of before a day."""

    passing: bool = False
    since: date | None = None

    @classmethod
    def of(cls, row: FetchRule | None) -> "_Met":
        return cls() if row is None else cls(edits.is_to_be_passed(row), edits.collected_since(row))


def _record_saved(by: User | None, saved: FetchRule, wanted: Rule, before: FetchRule | None, was: _Met) -> None:
    """Note what `set_rule` has changed, if anything. `before`: the rule as it was; None: it is new."""
    detail = _ledger_detail(before.source if before else None, saved.source)
    if before is None:
        audit.record(by, "rule_added", saved, **detail)
        return
    if before.restricted != saved.restricted:
        detail["restricted"] = saved.restricted
    if before.owner_id != saved.owner_id:
        detail["owner"] = str(saved.owner or "")
    met = _Met.of(saved)
    if was.passing != met.passing:
        detail["pass_present"] = met.passing
    if was.since != met.since:
        detail["since"] = str(met.since or "")
    changes = changes_of(before, wanted)
    if changes or detail:
        audit.record(by, "rule_changed", saved, fields=[astuple(change) for change in changes], **detail)
    elif before.pause == Pause.BY_HAND:  # saving ends the pause
        audit.record(by, "rule_resumed", saved)


def _ledger_detail(before: SourceMailbox | None, after: SourceMailbox) -> dict[str, audit.Detail]:
    """Whether a rule continues a former ledger from now on, or does not although it could. `before`: what it has read so far."""
    if after.continues is not None and (before is None or before.pk != after.pk):
        return {"former": mailbox_name(source_of(after.continues).account)}
    if before is None or after.continues is not None:
        return {}
    left = before if before.account != after.account else before.continues
    return {} if left is None else {"other_mailbox": mailbox_name(source_of(left).account)}
