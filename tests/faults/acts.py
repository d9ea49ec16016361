"""What a forked child can be asked to do: the real command, and what an administrator, a worker or time itself would do."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from typing import Any

from django.core.checks import run_checks
from django.core.management import call_command
from django.db.models import F, QuerySet
from django.utils import timezone

from fetchrules import tasks
from fetchrules.ledger import by_hand as ledger_by_hand
from fetchrules.ledger import leases, letters, runs
from fetchrules.ledger.source_mailboxes import Ledger, former_of, sources_of
from fetchrules.management.commands import poll as poll_command
from fetchrules.models import FetchRule, Letter, Run, ServiceSettings, SourceMailbox
from fetchrules.poll import run as polls
from fetchrules.poll.desk import GATHER_SECONDS, LINGER_SECONDS, Desk
from fetchrules.poll.progress import Limits
from fetchrules.remote.account import Deadlines
from fetchrules.rulebook.ledgers import Saved, settle
from fetchrules.secrets.sealing import seal, target_of
from fetchrules.upkeep import housekeeping

PASSWORD = "petrovpasswd"


def migrate() -> None:
    """Make the tables."""
    call_command("migrate", interactive=False, verbosity=0)


def make_rule(**columns: Any) -> int:
    """A rule for the user petrov; its id."""
    rule = FetchRule(
        **{"user": "petrov", "protocol": "pop3", "encryption": "plaintext", "next_poll_at": None, **columns}
    )
    text = rule.as_rule(PASSWORD)
    rule.password = seal(PASSWORD, target_of(text))
    rule.source = sources_of(text)[0]
    rule.save()
    return rule.pk


def edit_rule(rule: int, **columns: Any) -> None:
    """Change a rule as a form would: with its revision."""
    revision = FetchRule.objects.get(pk=rule).revision
    FetchRule.objects.filter(pk=rule).update(revision=revision + 1, **columns)


def rename_account(rule: int, user: str) -> None:
    """The mailbox gets another login, and the rule goes on with its ledger, as the form does it by default."""
    row = FetchRule.objects.get(pk=rule)
    row.user = user
    text = row.as_rule(PASSWORD)
    row.source = settle({0: Saved(text, row, Ledger.of(row.source))})[0][0]
    edit_rule(rule, user=user, source=row.source, password=seal(PASSWORD, target_of(text)))


def pass_present(rule: int, asked: bool = True) -> None:
    """What lies there counts as collected at the next poll, or no more."""
    source = FetchRule.objects.get(pk=rule).source
    SourceMailbox.objects.filter(pk=source.pk).update(pass_present=asked)


def by_hand(rule: int, verb: str) -> int:
    """What somebody says of all letters that need it; of how many."""
    answer: int = getattr(ledger_by_hand, verb)(Letter.objects.filter(source=FetchRule.objects.get(pk=rule).source))
    return answer


def delete_rule(rule: int) -> None:
    """Remove a rule; its mailbox's ledger stays."""
    FetchRule.objects.get(pk=rule).delete()


def poll(rule: int, deadlines: dict[str, float] | None = None, *, alone: bool = False) -> Any:
    """`manage.py poll --json ID`; what it prints.

    `deadlines` replace the usual ones of the connection; `alone`: claims on the mailbox are taken away first.
    """
    if alone:
        take_claims(rule)
    if deadlines:
        limits = Limits(deadlines=Deadlines(**deadlines))  # type: ignore[arg-type]
        vars(polls)["Limits"] = lambda: limits
    vars(poll_command)["AT_ONCE"] = Desk(GATHER_SECONDS, LINGER_SECONDS)  # as for many rules, and in a worker
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):  # the row says what failed
        call_command("poll", str(rule), "--json")
    return json.loads(printed.getvalue())


def take_claims(rule: int) -> int:
    """Take every claim on the rule's mailbox away, as a worker does that knows itself alone; how many."""
    return sum(leases.abandon(run, timezone.now()) for run in _open_runs(rule))


def outlive_leases(rule: int) -> int:
    """Let the time pass after which a poll that was not heard of is taken for dead, and take it off the board; how many."""
    expired = _open_runs(rule).update(deadline=timezone.now() - timedelta(seconds=1))
    leases.abandon_overdue(timezone.now())
    return expired


def unfinished(rule: int) -> int:
    """Letters between the record and the delivery."""
    return sum(len(letters.unfinished(source)) for source in _mailboxes(rule))


def _mailboxes(rule: int) -> list[SourceMailbox]:
    """What the rule reads, and what that was called before."""
    source = FetchRule.objects.get(pk=rule).source
    return [source, *former_of(source)]


def _open_runs(rule: int) -> QuerySet[Run]:
    return Run.objects.filter(source__in=_mailboxes(rule), finished_at__isnull=True)


def days_pass(rule: int, days: float) -> None:
    """Let everything that is known of the rule's mailbox be so much older."""
    past = timedelta(days=days)
    ids = [source.pk for source in _mailboxes(rule)]
    for column in ("missing_since", "forgotten_at", "delivered_at", "deleted_at", "tried_at"):
        Letter.objects.filter(source__in=ids).exclude(**{column: None}).update(**{column: F(column) - past})
    ServiceSettings.objects.update(clock_since=F("clock_since") - past)  # those days had their housekeepings, too
    mailboxes = SourceMailbox.objects.filter(id__in=ids)
    mailboxes.exclude(listed_at=None).update(listed_at=F("listed_at") - past)
    mailboxes.update(settled={})  # it holds for an hour


def tidy() -> None:
    """Housekeeping."""
    housekeeping.tidy(timezone.now())


def ask_for_poll(rule: int) -> int:
    """What the button does: the rule is due now."""
    return len(runs.ask_for_poll(FetchRule.objects.filter(pk=rule), timezone.now()))


def everything_is_due() -> int:
    """All rules are due now, if they were not before."""
    now = timezone.now()
    return len(runs.ask_for_poll(FetchRule.objects.exclude(next_poll_at__lte=now, pause=""), now))


def dispatch() -> list[int]:
    """One tick of beat, with nobody to take its messages; the runs in them."""
    sent: list[int] = []
    vars(tasks)["_enqueue"] = sent.extend
    tasks.dispatch()
    return sent


def message(arguments: list[Any]) -> str:
    """A message arrives at the worker; the error's name if it does not like it."""
    try:
        tasks.poll_run(*arguments)
    except (TypeError, ValueError, OverflowError) as error:
        return type(error).__name__
    return ""


def check() -> list[str]:
    """The system checks' ids of what is wrong with the database."""
    return [message.id for message in run_checks(databases=["default"], tags=["database"]) if message.id]


def rows(rule: int) -> list[dict[str, Any]]:
    """The ledger of the rule's mailbox."""
    wanted = ("uid", "ord", "state", "fate", "doubt", "size", "tries", "reason", "epoch")
    return list(Letter.objects.filter(source__in=_mailboxes(rule)).order_by("id").values(*wanted))


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        migrate,
        make_rule,
        edit_rule,
        rename_account,
        pass_present,
        by_hand,
        delete_rule,
        poll,
        take_claims,
        outlive_leases,
        unfinished,
        days_pass,
        tidy,
        ask_for_poll,
        everything_is_due,
        dispatch,
        message,
        check,
        rows,
    )
}
