"""The migration that releases rules which no longer have to wait for a person, and heeds a word that counted for nothing."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Pause
from fetchrules.rule import Encryption

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
    make_rule(**{"pause": Pause.FAILURE, "failures": 3, "next_poll_at": None, "sslfingerprint": "", **columns})
    import_module("fetchrules.migrations.0005_guarded_rows").release_rules_that_wait_in_vain(apps, None)
    assert bool(runs.claim_due(timezone.now())) == released


@pytest.mark.parametrize(
    ("words", "encryption"),
    [
        ("sslcertck keep", Encryption.STARTTLS),
        ("|SSLcertck", Encryption.STARTTLS),
        ("keep", Encryption.AUTO),
        ("nosslcertck", Encryption.AUTO),
        ("starttls sslcertck", Encryption.AUTO),  # the columns have left the line behind since
        ("# sslcertck", Encryption.AUTO),
    ],
)
def test_it_demands_tls_where_the_word_was_written(words: str, encryption: Encryption, make_rule: MakeRule) -> None:
    bars = words.startswith("|")
    line = (
        f"mailserver.ru:pop3|petrov|********|r@a.ru{words}" if bars else f"mailserver.ru:pop3 u ******** r@a.ru {words}"
    )
    rule = make_rule(line=line)
    import_module("fetchrules.migrations.0005_guarded_rows").demand_tls_where_sslcertck_is_written(apps, None)
    rule.refresh_from_db()
    assert rule.encryption == encryption
