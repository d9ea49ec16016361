"""The migration that releases rules which no longer have to wait for a person."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Pause

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., FetchRule]
PIN = "a" * 64


@pytest.mark.parametrize(
    ("columns", "released"),
    [
        ({"last_error": "certificate_changed"}, True),
        ({"last_error": "certificate_changed", "sslfingerprint": PIN}, False),
        ({"last_error": "password_unreadable"}, True),
        ({"last_error": "login_refused"}, False),
        ({"last_error": "certificate_changed", "pause": Pause.BY_HAND}, False),
    ],
)
def test_it_releases_what_passes_by_itself(columns: dict[str, object], released: bool, make_rule: MakeRule) -> None:
    make_rule(**{"pause": Pause.FAILURE, "failures": 3, "next_poll_at": None, **columns})
    import_module("fetchrules.migrations.0005_guarded_rows").release_rules_that_wait_in_vain(apps, None)
    assert bool(runs.claim_due(timezone.now())) == released
