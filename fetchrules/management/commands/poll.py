"""`manage.py poll`: poll rules in this process, without a broker, and say what came of it."""

import json
import signal
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from fetchrules.errors import DatabaseFailed, FetchError, Interrupted, MailboxBusy, OwnerGone
from fetchrules.ledger import leases, runs
from fetchrules.management.console import Console
from fetchrules.models import FetchRule, Run
from fetchrules.policy.planning import Plan, Remark, Why
from fetchrules.poll.desk import AT_ONCE, GATHER_SECONDS, LINGER_SECONDS, Desk, Together
from fetchrules.poll.outlasting import DATABASE_AWAY
from fetchrules.poll.run import Result, dry_run, poll
from fetchrules.remote.stopping import STOPPING
from fetchrules.upkeep import heartbeat
from fetchrules.words.failures import describe

PATIENCE = 15.0
"""Seconds that a poll waits for a database that is away. The next call of the command comes soon enough."""
Row = dict[str, object]

_REMARKS = frozenset(remark.value for remark in Remark)
"""The keys of `left` that say what the server did against the plan. The others are reasons why letters were left alone."""


class Command(Console):
    """Exit status: 0 all went well, 1 a poll failed, 2 there is no such rule."""

    help = "Poll rules now, in this process. Without arguments: those that are due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="rules to poll")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--due", action="store_true", help="the rules that are due (the default)")
        which.add_argument("--all", action="store_true", help="all rules that are switched on")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="one JSON object a rule")

    def handle(self, *_args: object, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: STOPPING.set())
        heartbeat.leave("worker")  # a dead worker may have had our process id, and its silence would count as ours
        leases.abandon_overdue(timezone.now())  # nobody else does it if only this command runs
        rules = _rules(options["ids"], due=not options["all"])
        failed = False
        desk = Desk(GATHER_SECONDS, LINGER_SECONDS) if len(rules) > 1 else AT_ONCE
        work = _planned if options["dry_run"] else partial(_polled, desk=desk)
        try:
            for row in _each(rules, lambda rule: _row(rule, work)):
                failed |= row["error"] is not None
                self.stdout.write(json.dumps(row, ensure_ascii=False) if options["json"] else _sentence(row))
        finally:
            desk.flush()
        if failed:
            raise SystemExit(1)


def _rules(ids: Sequence[int], *, due: bool) -> list[FetchRule]:
    rules = FetchRule.objects.select_related("source", "owner")
    if ids:
        found = list(rules.filter(id__in=ids))
        unknown = sorted(set(ids) - {rule.id for rule in found})
        if unknown:
            raise CommandError(_("there is no rule %s") % ", ".join(map(str, unknown)), returncode=2)
        return found
    active = rules.filter(enabled=True).exclude(FetchRule.OWNER_GONE)
    return list(active.filter(pause="", next_poll_at__lte=timezone.now()) if due else active)


def _claim_all(rules: Sequence[FetchRule]) -> list[list[int]]:
    runs.claim(rules, timezone.now(), Run.Cause.COMMAND)
    waiting = runs.waiting(rules)
    return [waiting.get(rule.id, []) for rule in rules]


_CLAIMS = Together(_claim_all, GATHER_SECONDS)


def _polled(rule: FetchRule, desk: Desk) -> Result:
    try:
        results = [poll(run_id, PATIENCE, desk=desk) for run_id in _CLAIMS.ask(rule)]
    except DATABASE_AWAY as error:
        return Result(runs.Counts(), 0.0, DatabaseFailed(str(error)))
    if results and results[0]:
        return results[0]
    return Result(runs.Counts(), 0.0, _why_not(rule))


def _why_not(rule: FetchRule) -> FetchError:
    if runs.owner_is_gone(rule):
        return OwnerGone()
    if STOPPING.is_set():
        return Interrupted("the process ends")
    return MailboxBusy("another poll of this mailbox is running")


def _planned(rule: FetchRule) -> Result:
    begun = timezone.now()
    plans: list[Plan] = []
    error: FetchError | None = None
    try:
        if runs.owner_is_gone(rule):
            raise OwnerGone
        plans = dry_run(rule)
    except FetchError as failure:
        error = failure
    left = Counter[str](why for plan in plans for _, why in plan.left)
    flagged = sum(plan.flagged for plan in plans)
    to_fetch = [wanted for plan in plans for wanted in plan.fetch]
    flushed = sum(len(plan.delete) for plan in plans)
    counts = runs.Counts(
        found=flushed + len(to_fetch) + left.total(),
        fetched=len(to_fetch),
        deleted=flushed + sum(wanted.delete_after for wanted in to_fetch),
        skipped=left.total(),
        octets=sum(plan.octets for plan in plans),
        left={why.value: left[why] for why in Why if why in left}
        | ({Remark.FLAGGED.value: flagged} if flagged else {}),
    )
    return Result(counts, (timezone.now() - begun).total_seconds(), error)


def _each(rules: Sequence[FetchRule], work: Callable[[FetchRule], Row]) -> Iterator[Row]:
    """Do `work` for each rule, in threads if there are several. Rows come in the order of the rules."""
    if len(rules) < 2:
        yield from map(work, rules)
        return

    def in_thread(rule: FetchRule) -> Row:
        try:
            return work(rule)
        finally:
            connection.close()

    with ThreadPoolExecutor(min(settings.UTM_MAIL_CONCURRENCY, len(rules))) as pool:
        yield from pool.map(in_thread, rules)


def _row(rule: FetchRule, work: Callable[[FetchRule], Result]) -> Row:
    result = work(rule)
    counts, error = result.counts, result.error
    return {
        "rule": rule.id,
        "source": f"{rule.user}@{rule.server}",
        "recipient": rule.recipient,
        "outcome": "failed" if error else "collected" if counts.fetched else "nothing_new",
        "found": counts.found,
        "fetched": counts.fetched,
        "deleted": counts.deleted,
        "skipped": counts.skipped,
        "held": counts.held,
        "left": counts.left,
        "remarks": {name: number for name, number in counts.left.items() if name in _REMARKS},
        "bytes": counts.octets,
        "seconds": round(result.seconds, 3),
        "error": _error(error, rule) if error else None,
    }


def _error(error: FetchError, rule: FetchRule) -> dict[str, str]:
    words = describe(error.code, rule.server)
    return {"code": error.code, "detail": error.detail, "message": str(words.title), "remedy": str(words.remedy)}


def _sentence(row: Row) -> str:
    source = f"{row['source']} → {row['recipient']}: "
    error = row["error"]
    if isinstance(error, dict):
        detail = f" ({error['detail']})" if error["detail"] else ""
        return source + f"{error['message']}{detail}. {error['remedy']}"
    return source + _("found %(found)s, fetched %(fetched)s, deleted %(deleted)s, left alone %(skipped)s") % row
