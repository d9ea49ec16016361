"""Rules and polls that are deleted between a page's look at them and what it asks for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run
from tests.conftest import MakeRule


@contextmanager
def deleted_before_the_second_look(model: type[Model]) -> Iterator[list[str]]:
    """Delete all rows of `model` before they are read for the second time. Yields the statements that read them."""
    looks: list[str] = []

    def watch(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.startswith("SELECT") and f'FROM "{model._meta.db_table}"' in sql:
            looks.append(sql)
            if len(looks) == 2:
                model._default_manager.all().delete()
        return execute(sql, *args)

    with connection.execute_wrapper(watch):
        yield looks


@pytest.mark.parametrize("page", ["rule_take_up", "rule_adopt"])
def test_it_says_that_the_rule_is_gone(page: str, admin: Client, make_rule: MakeRule) -> None:
    rule = make_rule()
    with deleted_before_the_second_look(FetchRule) as looks:
        assert admin.post(reverse(page, args=[rule.id])).status_code == 404
    assert len(looks) >= 2


def test_it_says_that_the_poll_is_gone(admin: Client, make_rule: MakeRule) -> None:
    (run_id,) = runs.claim([make_rule()], timezone.now(), Run.Cause.SCHEDULE)
    with deleted_before_the_second_look(Run) as looks:
        assert admin.post(reverse("run_stop", args=[run_id])).status_code == 404
    assert len(looks) >= 2
