"""The rule book of the rule book's own tests, and the browsers of the panel's."""

import pytest
from django.contrib.auth.models import Permission, User

from tests.panel.conftest import admin, in_english, owner
from tests.rulebook.conftest import book, write

__all__ = ["admin", "book", "in_english", "owner", "write"]


@pytest.fixture
def erin(db: None) -> User:
    """May change every rule, and is no administrator."""
    erin = User.objects.create_user("erin")
    erin.user_permissions.add(Permission.objects.get(codename="change_fetchrule"))
    return erin
