"""The page for a request that failed."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.http import HttpResponse
from django.test import RequestFactory

from fetchrules.panel.middleware.answers import RETRY_SECONDS, failed


def answer(error: Exception, rf: RequestFactory) -> HttpResponse:
    """What is shown while `error` is handled."""

    def view() -> None:
        raise error

    return _handled(view, rf)


def _handled(view: Callable[[], None], rf: RequestFactory) -> HttpResponse:
    try:
        view()
    except (DatabaseError, InterfaceError, ValueError):
        return failed(rf.get("/"))
    raise AssertionError("it raised nothing")


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, InternalError])
def test_it_says_that_the_database_is_away(error: type[DatabaseError], rf: RequestFactory) -> None:
    """PostgreSQL raises InternalError while it is read-only."""
    response = answer(error(), rf)
    assert (response.status_code, response["Retry-After"]) == (503, str(RETRY_SECONDS))


def test_it_blames_the_database_for_no_fault_of_ours(rf: RequestFactory) -> None:
    assert answer(ValueError(), rf).status_code == 500
