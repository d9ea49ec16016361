"""A rule book with something in it."""

from collections.abc import Callable
from typing import Any

import pytest

from fetchrules.rulebook.apply import Applied
from fetchrules.rulebook.revisions import current_version
from tests.rulebook.texts import apply

TEXT = (
    "\ufeff# Accounts\r\n"
    "mailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru keep ssl   # the boss\r\n"
    "\r\n"
    "mailserver.ru:pop3|ivanov|iv\\|an|i.ivanov@mydomain.ru|limit 5m\n"
    "# Sales\n"
    "[2001:db8::1]:imaps 'sales team' \"s@les\" sales@mydomain.ru folder 'Sent Items'\n"
    "# end"
)
"""Every kind of thing that a text may have: a mark, comments, blank lines, endings, both spellings, quotes."""

Applier = Callable[..., Applied]
"""Apply a text to the rules as they are now."""


@pytest.fixture
def write(db: None) -> Applier:
    """An Applier."""

    def write(text: str, **options: Any) -> Applied:
        return apply(text, current_version(), by=None, **options)

    return write


@pytest.fixture
def book(write: Applier) -> str:
    """The rules of TEXT; the text."""
    write(TEXT)
    return TEXT
