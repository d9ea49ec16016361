"""Numbers in a URL or form that no database column holds: they name nothing, and cost nobody an error page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fetchrules.models import FetchRule
from fetchrules.panel.params import number

HUGE = ["9" * 20, "9" * 5000, str(2**63)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1", 1),
        ("0", 0),
        ("007", 7),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        ("9" * 20, None),
        ("9" * 5000, None),
        ("0" * 5000, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1_000", None),
        ("²", None),
        ("١", None),
    ],
)
def test_it_reads_numbers_that_a_column_holds(text: str, found: int | None) -> None:
    assert number(text) == found


@pytest.mark.parametrize("huge", HUGE, ids=["20 digits", "5000 digits", "one too many"])
@pytest.mark.parametrize(
    "path",
    [
        "/rules/{}/",
        "/journal/{}/",
        "/text/history/{}/",
        "/admin/fetchrules/fetchrule/{}/change/",
        "/admin/auth/user/{}/change/",
        "/admin/r/{}/1/",
        "/admin/fetchrules/fetchrule/{}/history/",
        "/admin/auth/user/{}/password/",
    ],
)
def test_it_finds_no_page_of_a_huge_number(path: str, huge: str, admin: Client) -> None:
    assert admin.get(path.format(huge)).status_code in {302, 404}


@pytest.mark.parametrize("huge", HUGE, ids=["20 digits", "5000 digits", "one too many"])
@pytest.mark.parametrize(
    "path",
    [
        "/rules/{}/on/",
        "/rules/{}/poll/",
        "/rules/{}/adopt/",
        "/rules/{}/take_up/",
        "/rules/{}/delete/",
        "/journal/{}/stop/",
        "/text/history/{}/undo/",
    ],
)
def test_it_does_nothing_with_a_huge_number(path: str, huge: str, admin: Client) -> None:
    assert admin.post(path.format(huge)).status_code == 404


@pytest.mark.parametrize("huge", HUGE, ids=["20 digits", "5000 digits", "one too many"])
@pytest.mark.parametrize(
    "query",
    [
        "/?page={}",
        "/?per={}",
        "/rules/rows/?ids={},1",
        "/rules/new/?copy={}",
        "/journal/?rule={}",
        "/journal/?page={}",
        "/statistics/?rule={}",
        "/journal/audit/?page={}",
        "/journal/letters/?page={}",
        "/text/history/?page={}",
        "/statistics/?from={}-01-01",
        "/journal/?to={}-01-01",
        "/admin/fetchrules/fetchrule/?p={}",
        "/admin/fetchrules/fetchrule/?id={}",
        "/admin/auth/user/?id__exact={}",
    ],
)
def test_it_ignores_a_huge_number_in_a_query(query: str, huge: str, admin: Client, rule: FetchRule) -> None:
    assert admin.get(query.format(huge)).status_code in {200, 302, 404}


@pytest.mark.parametrize("huge", HUGE, ids=["20 digits", "5000 digits", "one too many"])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/journal/letters/act/", "held"),
        ("/rules/new/", "same_mailbox"),
        ("/rules/bulk/", "rule"),
        ("/rules/preview/?rule={}", "source"),
        ("/rules/new/", "seen"),
        ("/text/", "version"),
        ("/text/history/1/undo/", "version"),
    ],
)
def test_it_ignores_a_huge_number_in_a_form(path: str, name: str, huge: str, admin: Client, alice: User) -> None:
    answer = admin.post(path.format(huge), {name: huge, "do": "poll", "text": "", "apply": "1"})
    assert answer.status_code < 500
