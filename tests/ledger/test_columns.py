"""Rows that are written and read without the ORM are those that it would write and read."""

from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.ledger.columns import insert_all
from fetchrules.models import FetchRule, Letter, Run, SourceMailbox
from tests.conftest import MakeRule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def test_a_run_is_read_as_the_orm_reads_it(make_rule: MakeRule) -> None:
    rule = make_rule(sslfingerprint=["a" * 64], folders=["INBOX"], last_left={"seen": 1}, interval=7)
    (run_id,) = runs.claim([rule], NOW)
    read = runs.start(run_id, NOW + timedelta(seconds=1))
    assert read is not None
    for ours, row in ((read, Run), (read.rule, FetchRule), (read.source, SourceMailbox)):
        theirs = row.objects.get()
        assert ours == theirs
        names = [field.attname for field in row._meta.concrete_fields]
        assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert read.rule is not None
    assert read.rule.source is read.source
    assert runs.usual_interval(read) == 10


def test_rows_have_the_defaults_of_their_fields(make_rule: MakeRule) -> None:
    given = {"source": make_rule().source.pk, "epoch": 1, "uid": "a", "recipient": "i@x", "state": "held", "size": 3}
    insert_all(Letter, [{**given, "first_seen_at": NOW}, {**given, "uid": "b", "first_seen_at": NOW, "tries": 2}])
    insert_all(Letter, [{**given, "first_seen_at": NOW}])  # it is there
    insert_all(Letter, [])
    made = Letter(**{**given, "source_id": given["source"], "source": SourceMailbox.objects.get()}, first_seen_at=NOW)
    first, second = Letter.objects.order_by("id").values()
    expected = {field.attname: getattr(made, field.attname) for field in Letter._meta.concrete_fields}
    assert first | {"id": None} == expected
    assert (second["uid"], second["tries"]) == ("b", 2)


def test_an_unknown_name_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError, match="no field colour"):
        insert_all(Letter, [{"colour": 1}])
