"""What is remembered of remote servers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from fetchrules.ledger import hosts
from fetchrules.models.rule import RemoteHost

pytestmark = pytest.mark.django_db

HOST = "pop.example.org"
NOW = timezone.now()


def test_it_believes_the_sizes_of_a_server_until_somebody_declares_them_wrong() -> None:
    assert not hosts.sizes_are_wrong(HOST)
    hosts.declare_sizes(HOST, wrong=True)
    assert hosts.sizes_are_wrong(HOST)
    assert not hosts.sizes_are_wrong("pop.example.net")


def test_it_believes_them_again() -> None:
    hosts.declare_sizes(HOST, wrong=True)
    hosts.declare_sizes(HOST, wrong=False)
    assert not hosts.sizes_are_wrong(HOST)
    assert list(hosts.with_wrong_sizes()) == []


@pytest.mark.parametrize(("noted", "remembered"), [((), None), ((300,), 300), ((300, 150), 150)])
def test_it_remembers_how_much_of_a_listing_a_server_bears(noted: tuple[int, ...], remembered: int | None) -> None:
    for letters in noted:
        hosts.note_list_at_once(HOST, letters)
    assert hosts.list_at_once(HOST) == remembered


def test_it_counts_names_that_became_other_letters() -> None:
    hosts.count_shifted(HOST, 2, NOW)
    hosts.count_shifted(HOST, 1, NOW + timedelta(hours=1))
    host = hosts.that_shift().get()
    assert (host.host, host.shifted, host.shifted_at) == (HOST, 3, NOW + timedelta(hours=1))


def test_it_keeps_what_else_it_knows_of_the_server() -> None:
    hosts.declare_sizes(HOST, wrong=True)
    hosts.note_list_at_once(HOST, 100)
    hosts.count_shifted(HOST, 1, NOW)
    host = RemoteHost.objects.get()
    assert (host.wrong_sizes, host.list_at_once, host.shifted) == (True, 100, 1)
