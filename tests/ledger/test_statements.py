"""Statements of our own: a row in one go from another, with every column that its model has, now and later."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.models import F
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.ledger.leases import QUEUE_LEASE
from fetchrules.ledger.statements import columns, insert_from
from fetchrules.models import FetchRule, Run
from fetchrules.models.rule import RemoteHost
from fetchrules.schedule import NextReason
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def kept(run: Run) -> dict[str, Any]:
    return {field.attname: getattr(run, field.attname) for field in Run._meta.concrete_fields if field.name != "id"}


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (NextReason.BY_HAND, Run.Cause.BY_HAND),
        (NextReason.SAVED, Run.Cause.SAVED),
        (NextReason.BACKOFF, Run.Cause.SCHEDULE),
    ],
)
def test_it_claims_a_rule_by_the_same_row_that_the_model_makes(
    make_rule: MakeRule, reason: NextReason, cause: Run.Cause
) -> None:
    rule = make_rule(next_reason=reason, revision=7)
    (run_id,) = runs.claim([rule], NOW)
    run = Run.objects.get(id=run_id)
    same = Run(
        token=run.token,
        rule=rule,
        source=rule.source,
        recipient=rule.recipient,
        revision=7,
        cause=cause,
        claimed_at=NOW,
        deadline=NOW + QUEUE_LEASE,
    )
    assert kept(run) == kept(same)


def test_it_claims_in_two_statements_however_many_rules_there_are(make_rule: MakeRule) -> None:
    rules = [make_rule(next_poll_at=NOW) for _ in range(30)]
    with CaptureQueriesContext(connection) as queries:
        claimed = runs.claim(reversed(rules), NOW)
    first_words = [query["sql"].split()[0] for query in queries]
    assert [word for word in first_words if word not in {"SAVEPOINT", "RELEASE"}] == ["INSERT", "UPDATE"]
    of_rules = dict(Run.objects.values_list("id", "rule_id"))
    assert [of_rules[run_id] for run_id in claimed] == [rule.id for rule in reversed(rules)]
    assert not FetchRule.objects.filter(next_poll_at__isnull=False).exists()


def test_it_claims_as_many_rules_as_there_are(make_rule: MakeRule) -> None:
    ids = [make_rule(next_poll_at=NOW).id for _ in range(3)]
    rules = [FetchRule(id=unknown) for unknown in range(10**6, 10**6 + 1200)]
    claimed = runs.claim([*rules, *FetchRule.objects.filter(id__in=ids)], NOW)
    assert len(claimed) == 3


def test_it_inserts_nothing_for_no_rows() -> None:
    assert insert_from(FetchRule.objects.none(), RemoteHost, {"host": F("server")}, ("id",)) == []


def test_it_leaves_out_what_is_there(make_rule: MakeRule) -> None:
    for server in ("one.example.org", "two.example.org"):
        make_rule(server=server)
    RemoteHost.objects.create(host="one.example.org", wrong_sizes=True)
    rows = insert_from(FetchRule.objects.order_by("id"), RemoteHost, {"host": F("server")}, ("host", "wrong_sizes"))
    assert [(host, bool(wrong)) for host, wrong in rows] == [("two.example.org", False)]
    assert RemoteHost.objects.get(host="one.example.org").wrong_sizes


@isolate_apps("fetchrules")
def test_it_forgets_no_column_that_a_model_has() -> None:
    class Wider(models.Model):  # noqa: DJ008 -- nobody sees it
        named = models.CharField(max_length=5)
        later = models.PositiveIntegerField(default=7)
        perhaps = models.DateTimeField(null=True)

        class Meta:
            app_label = "fetchrules"

    given = columns(Wider, {"named": "x"})
    assert {column: value.value for column, value in given.items()} == {"named": "x", "later": 7, "perhaps": None}
    with pytest.raises(TypeError, match=r"Wider\.named has no default"):
        columns(Wider, {})
    with pytest.raises(TypeError, match="Wider has no field older"):
        columns(Wider, {"named": "x", "older": 1})
