"""Names of Maildir++ folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchrules.delivery.maildir import folder_directory
from fetchrules.errors import RecipientInvalid


@pytest.mark.parametrize(
    ("folder", "directory"),
    [
        ("Collected", ".Collected"),
        ("Work/Bills 2024", ".Work.Bills 2024"),
        ("Work.Bills", ".Work.Bills"),
        ("Собранное", ".&BCEEPgQxBEAEMAQ9BD0EPgQ1-"),
        ("R&D", ".R&-D"),
        ("~peter/mail/台北/日本語", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"),
    ],
)
def test_it_names_directories_as_dovecot_does(folder: str, directory: str) -> None:
    assert folder_directory(folder) == directory


@pytest.mark.parametrize(
    "folder", ["", "/", ".", "..", "a//b", ".a", "a/", "a\nb", "a\0", "\u202ea", "x" * 255, "и" * 200]
)
def test_it_refuses_what_cannot_be_a_folder(folder: str) -> None:
    with pytest.raises(RecipientInvalid):
        folder_directory(folder)


@given(st.text())
def test_it_never_leaves_the_maildir(folder: str) -> None:
    try:
        directory = folder_directory(folder)
    except RecipientInvalid:
        return
    assert directory.startswith(".")
    assert ".." not in directory
    assert directory.isascii()
    assert directory.isprintable()
    assert "/" not in directory
