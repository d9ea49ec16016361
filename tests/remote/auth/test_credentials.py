"""Passwords and user names as the ways send them."""

import pytest

from fetchrules.errors import LocalProtocolError
from fetchrules.remote.auth.credentials import Password, checked, encoded, plain, saslprep, secrets_of

PREPARED = [
    # RFC 4013 section 3
    ("I\u00adX", "IX"),
    ("user", "user"),
    ("USER", "USER"),
    ("\u00aa", "a"),
    ("\u2168", "IX"),
    # RFC 4013 forbids these; they are sent as they are
    ("\u0007", "\u0007"),
    ("\u06271", "\u06271"),
    # more of its tables
    ("a\u00a0b", "a b"),
    ("\u0627a\u0628", "\u0627a\u0628"),
    ("\u06271\u0628", "\u06271\u0628"),
    ("и\u0306", "й"),
    ("\ue000", "\ue000"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "prepared"), PREPARED)
def test_it_prepares_text_for_scram(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


def test_it_prepares_passwords_only_where_the_client_should() -> None:
    assert Password("№ 1").prepared == b"No 1"
    assert plain("petrov", Password("№ 1")) == "\0petrov\0№ 1".encode()


def test_it_says_what_rfc_4616_says() -> None:
    assert plain("tim", Password("tanstaaftanstaaf")) == b"\0tim\0tanstaaftanstaaf"
    assert plain("петров", Password("пароль")) == "\0петров\0пароль".encode()


@pytest.mark.parametrize("nasty", ["a\rb", "a\nDELE 1", "a\0b"])
def test_it_takes_nothing_that_could_hide_a_command(nasty: str) -> None:
    with pytest.raises(LocalProtocolError):
        Password(nasty)
    with pytest.raises(LocalProtocolError):
        checked(nasty)
    with pytest.raises(LocalProtocolError):
        plain(nasty, Password("secret"))


def test_it_shows_no_password_in_a_representation() -> None:
    assert "petrovpasswd" not in repr(Password("petrovpasswd"))


def test_it_tells_passwords_apart_by_their_marks() -> None:
    assert Password("one").mark == Password("one").mark != Password("two").mark


def test_it_names_every_form_that_a_server_could_repeat() -> None:
    secrets = secrets_of("petrov", Password("petrovpasswd"))
    assert secrets == ("petrovpasswd", "AHBldHJvdgBwZXRyb3ZwYXNzd2Q=", encoded(b"petrovpasswd"))
