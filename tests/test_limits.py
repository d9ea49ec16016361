"""How many sessions a server gets at a time, by its name."""

import pytest

from fetchrules.policy.limits import sessions_at_most


@pytest.mark.parametrize(
    ("host", "most"),
    [
        ("mail.nic.ru", 7),
        ("MAIL.NIC.RU.", 7),
        ("nic.ru", 7),
        ("mail.panic.ru", 20),
        ("nic.ru.example.org", 20),
        ("imap.gmail.com", 20),
        ("", 20),
    ],
)
def test_it_gives_a_server_what_its_service_allows(host: str, most: int) -> None:
    assert sessions_at_most(host, 20) == most


def test_it_gives_no_server_more_than_usual() -> None:
    assert sessions_at_most("mail.nic.ru", 3) == 3
