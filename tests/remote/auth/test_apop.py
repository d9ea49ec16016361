"""APOP's timestamp and digest."""

import pytest

from fetchrules.remote.auth.apop import digest, timestamp
from fetchrules.remote.auth.credentials import Password

GREETINGS = [
    ("POP3 server ready <1896.697170952@dbc.mtview.ca.us>", "<1896.697170952@dbc.mtview.ca.us>"),  # RFC 1939 section 7
    ("<1.2@x> ready", "<1.2@x>"),
    ("Hello <there> <1.2@x>.", "<1.2@x>"),
    ("<12.ab-c@[127.0.0.1]>", "<12.ab-c@[127.0.0.1]>"),
    ("ready", None),
    ("<@>", None),
    ("<12@>", None),
    ("<@host>", None),
    ("<1@2@3>", None),
    ("<1 2@host>", None),
    ("<1@host", None),
    ("<\u04341@host>", None),
    ("<\ufffd1@host>", None),
    ("<1\t@host>", None),
    (f"<{'1' * 251}@host>", None),
]


@pytest.mark.parametrize(("greeting", "found"), GREETINGS)
def test_it_takes_a_message_id_for_a_timestamp_and_nothing_else(greeting: str, found: str | None) -> None:
    assert timestamp(greeting) == found


def test_it_digests_as_rfc_1939_does() -> None:
    stamp = "<1896.697170952@dbc.mtview.ca.us>"
    assert digest(stamp, Password("tanstaaf")) == "c4c9334bac560ecc979e58001b3e22fb"
