"""The demonstration comes with rules, makes them once, and finds its mail server where they look for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from pytest_django import Settings

from fetchrules.demo.post_office import PostOffice, open_post_office
from fetchrules.demo.sample_letters import MAILBOXES
from fetchrules.models import FetchRule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_directory(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@contextmanager
def opened() -> Iterator[PostOffice]:
    office = open_post_office()
    thread = Thread(target=office.run)
    thread.start()
    yield office
    office.stop()
    thread.join()


def test_it_has_a_rule_for_every_mailbox() -> None:
    with opened() as office:
        ports = {"pop3": office.pop3.port, "imap": office.imap.port}
        rules = FetchRule.objects.values_list("user", "protocol", "port")
        assert {user for user, _, _ in rules} == set(MAILBOXES)
        assert all(port == ports[protocol] for _, protocol, port in rules)


def test_it_opens_again_where_its_rules_look_for_it() -> None:
    with opened() as first:
        made = list(FetchRule.objects.values())
    with opened() as second:
        assert (second.pop3.port, second.imap.port) == (first.pop3.port, first.imap.port)
        assert list(FetchRule.objects.values()) == made


def test_it_leaves_rules_alone_that_are_there() -> None:
    with opened():
        FetchRule.objects.exclude(user="petrov").delete()
    with opened():
        assert FetchRule.objects.count() == 1
