"""The state of a rule: the list's SQL against the table of decisions, over every combination of what it depends on."""

from datetime import UTC, datetime
from itertools import product

from django.contrib.auth.models import User

from fetchrules import errors
from fetchrules.errors import FetchError, Retry
from fetchrules.models import FetchRule, Pause, Run, SourceMailbox
from fetchrules.panel.pages.rules import with_state
from fetchrules.status import CHECKED_LOCALLY, DECISION, LASTING, LOCAL_FAULTS, PASSING, Fact, RuleState

NOW = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FetchError)]
OWNERS = ("nobody's", "owned", "deleted", "deactivated")
ERRORS = ("", "connect_failed", "mailbox_busy", "disk_full", "internal_error", "recipient_unknown")


def facts_of(
    run: Run.State | None, enabled: bool, owner: str, pause: Pause, error: str, failures: int, polled: bool
) -> set[Fact]:
    holds = {
        Fact.POLL_RUNS: run is Run.State.RUNNING,
        Fact.POLL_QUEUED: run is Run.State.QUEUED,
        Fact.SWITCHED_OFF: not enabled,
        Fact.OWNER_GONE: owner in ("deleted", "deactivated"),
        Fact.PAUSED_BY_HAND: pause is Pause.BY_HAND,
        Fact.PAUSED_BY_FAILURE: pause is Pause.FAILURE,
        Fact.LOCAL_FAULT: error in ("disk_full", "internal_error"),
        Fact.PASSING_FAILURE: error == "mailbox_busy" and failures < LASTING,
        Fact.FAILURE: error != "",
        Fact.NEVER_POLLED: not polled,
    }
    return {fact for fact, it_holds in holds.items() if it_holds}


def test_it_decides_in_sql_as_the_table_says(alice: User, charlie: User) -> None:
    charlie.is_active = False
    charlie.save()
    owners = {"owned": alice, "deactivated": charlie}
    runs = (None, Run.State.QUEUED, Run.State.RUNNING)
    cases = list(product(runs, (True, False), OWNERS, Pause, ERRORS, (LASTING - 1, LASTING), (True, False)))
    sources = SourceMailbox.objects.bulk_create(
        SourceMailbox(protocol="pop3", host="mailserver.ru", user=str(number)) for number in range(len(cases))
    )
    rules = FetchRule.objects.bulk_create(
        FetchRule(
            server="mailserver.ru",
            user=source.user,
            recipient="i.petrov@mydomain.ru",
            source=source,
            enabled=enabled,
            owned=owner != "nobody's",
            owner=owners.get(owner),
            pause=pause,
            last_error=error,
            failures=failures,
            last_polled_at=NOW if polled else None,
        )
        for source, (_run, enabled, owner, pause, error, failures, polled) in zip(sources, cases, strict=True)
    )
    Run.objects.bulk_create(
        Run(
            rule=rule, source=rule.source, recipient=rule.recipient, revision=1, state=run, claimed_at=NOW, deadline=NOW
        )
        for rule, (run, *_rest) in zip(rules, cases, strict=True)
        if run
    )
    found = dict(with_state(FetchRule.objects.all()).values_list("user", "state"))
    for number, case in enumerate(cases):
        facts = facts_of(*case)
        decided = next((state for fact, state in DECISION if fact in facts), RuleState.ON)
        assert found[str(number)] == decided, case


def test_it_decides_by_each_fact_once() -> None:
    assert [fact for fact, _state in DECISION] == list(Fact)


def test_it_names_each_fault_of_this_machine() -> None:
    ours = {kind.code for kind in KINDS if kind.retry is Retry.OURS}
    assert ours | {errors.InternalError.code} == LOCAL_FAULTS


def test_it_takes_no_failure_for_passing_that_waits_for_a_person() -> None:
    waiting = {kind.code for kind in KINDS if kind.retry in (Retry.AFTER_EDIT, Retry.IF_IT_LASTS)}
    assert not PASSING & (waiting | LOCAL_FAULTS)


def test_it_checks_every_failure_of_delivery_locally_except_those_of_one_letter_or_rule() -> None:
    of_delivery = {kind.code for kind in KINDS if issubclass(kind, errors.DeliveryFailed)}
    of_one = {errors.DeliveryRefused.code, errors.RecipientInvalid.code, errors.FolderUnsupported.code}
    assert of_delivery - CHECKED_LOCALLY == of_one
