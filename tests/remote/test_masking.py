"""What people are shown of a text in which a server gives our secrets back."""

import pytest

from fetchrules.remote.transcript import Secrets

MASKS: list[tuple[tuple[str, ...], str, str]] = [
    (("petrovpasswd",), "PASS petrovpasswd?", "PASS ********?"),
    (("petrovpasswd",), "PASS PETROVPASSWD?", "PASS ********?"),
    (("petrovpasswd",), "PASS PetrovPa", "PASS ********"),
    (("petrovpasswd",), "PASS petrovpas...", "PASS ********..."),
    (("petrovpasswd",), "PASS petrovp", "PASS petrovp"),
    (("petrovpasswd",), "petrovpasswdpetrovpasswd petrovpa", "**************** ********"),
    (("secret",), "Secret secre", "******** secre"),
    (("пароль-secret",), "ПАРОЛЬ-S нет", "******** нет"),
    (("\x01\xa0-secret",), "no \\u0001\\u00a0-secret", "no ********"),
    (('two "words"', 'two \\"words\\"'), 'no two "words", no two \\"WORDS\\"', "no ********, no ********"),
    (("first-secret", "another-secret"), "ANOTHER-SECRET first-secret", "******** ********"),
    (("a.c+d*e(f[g",), "A.C+D*E(F[G abcdefgh", "******** abcdefgh"),
    (("", "secret"), "nothing here", "nothing here"),
    (("",), "nothing here", "nothing here"),
]


@pytest.mark.parametrize(("secrets", "text", "masked"), MASKS)
def test_it_masks_a_secret_in_any_case_and_what_it_begins_with(
    secrets: tuple[str, ...], text: str, masked: str
) -> None:
    assert Secrets.of(*secrets).masked(text) == masked


def test_it_shows_no_secret_itself() -> None:
    assert "petrov" not in repr(Secrets.of("petrovpasswd"))
