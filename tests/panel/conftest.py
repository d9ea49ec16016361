"""A browser without a screen for each of the people, and a broker that nobody has to run."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from fetchrules.models import FetchRule, Run
from tests.conftest import PASSWORD, MakeRule

MakeRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def in_english(settings: Settings) -> None:
    """The msgids are what these tests read; that they are translated is another test's concern."""
    settings.LANGUAGE_CODE = "en"


def client_of(user: User) -> Client:
    """Logged in; what the server answers with 5xx is an exception here."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(alice: User) -> Client:
    """Alice's browser."""
    return client_of(alice)


@pytest.fixture
def editor(db: None) -> Client:
    """The browser of Erin, who may change every rule and is no administrator."""
    erin = User.objects.create_user("erin", "erin@mydomain.ru", PASSWORD)
    erin.user_permissions.add(Permission.objects.get(codename="change_fetchrule"))
    return client_of(erin)


@pytest.fixture
def operator(bob: User) -> Client:
    """Bob's browser."""
    return client_of(bob)


@pytest.fixture
def owner(charlie: User) -> Client:
    """Charlie's browser."""
    return client_of(charlie)


@pytest.fixture
def rule(make_rule: MakeRule) -> FetchRule:
    """A rule of nobody in particular."""
    return make_rule(user="petrov")


@pytest.fixture
def charlies_rule(make_rule: MakeRule, charlie: User) -> FetchRule:
    """A rule that Charlie owns."""
    return make_rule(user="charlie", recipient="charlie@mydomain.ru", owner=charlie)
