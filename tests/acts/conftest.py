"""The rule book of the rule book's own tests, and the browsers of the panel's."""

from tests.panel.conftest import admin, in_english, owner
from tests.rulebook.conftest import book, write

__all__ = ["admin", "book", "in_english", "owner", "write"]
