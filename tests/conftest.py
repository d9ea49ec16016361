"""What many tests share: people, rules, and real servers."""

from collections.abc import Callable
from typing import Any

import pytest
from _pytest.reports import TestReport
from _pytest.terminal import TerminalReporter
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User

from fetchrules.ledger.source_mailboxes import sources_of
from fetchrules.models import FetchRule
from fetchrules.rule import Encryption, Protocol
from fetchrules.secrets.sealing import seal, target_of
from tests.faults.campaign import Campaign, table
from tests.interop.fixtures import dovecot, postfix, postgres, redis_server, wheel

__all__ = ["dovecot", "postfix", "postgres", "redis_server", "wheel"]

PASSWORD = "correct horse battery staple"
"""Alice's, Bob's and Charlie's."""

MakeRule = Callable[..., FetchRule]


@pytest.fixture
def alice(db: None) -> User:
    """The administrator: may do everything."""
    return get_user_model().objects.create_superuser("alice", "alice@mydomain.ru", PASSWORD)


@pytest.fixture
def bob(db: None) -> User:
    """The operator: watches and runs, and never sees a password."""
    user = get_user_model().objects.create_user("bob", "bob@mydomain.ru", PASSWORD)
    user.user_permissions.set(Permission.objects.filter(codename__in=["run_service", "view_fetchrule", "view_run"]))
    return user


@pytest.fixture
def charlie(db: None) -> User:
    """The owner of the mailbox charlie@mydomain.ru, and of nothing else."""
    return get_user_model().objects.create_user("charlie", "charlie@mydomain.ru", PASSWORD)


@pytest.fixture
def make_rule(db: None) -> MakeRule:
    """Make a saved rule; what is not given is plain, and no two rules read the same mailbox."""
    made = 0

    def make(*, password: str = "petrovpasswd", **columns: Any) -> FetchRule:
        nonlocal made
        made += 1
        rule = FetchRule(
            **{
                "server": "mailserver.ru",
                "protocol": Protocol.POP3,
                "user": f"petrov{made}",
                "recipient": "i.petrov@mydomain.ru",
                "encryption": Encryption.AUTO,
                "position": made,
                **columns,
            }
        )
        if rule.owner is not None:
            rule.owned = True
            rule.restricted = columns.get("restricted", not rule.owner.is_staff)
        as_text = rule.as_rule(password)
        rule.password = seal(password, target_of(as_text))
        rule.source = sources_of(as_text)[0]
        rule.save()
        return rule

    return make


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The table of what the fault campaigns found, at the end of everything."""
    told = [
        report for reports in terminalreporter.stats.values() for report in reports if isinstance(report, TestReport)
    ]
    torn_down = [report for report in told if report.when == "teardown"]
    rows = [str(text) for report in torn_down for name, text in report.user_properties if name == "campaign"]
    if rows:
        terminalreporter.write_sep("=", "campaigns")
        terminalreporter.write_line("\n".join(table([Campaign.from_json(row) for row in rows])))
