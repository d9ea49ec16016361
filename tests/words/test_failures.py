"""Every failure has words, and mail services have their own."""

from collections.abc import Iterator

import pytest
from django.utils import translation

from fetchrules import errors
from fetchrules.panel.forms.rule import RuleForm
from fetchrules.words.failures import FAILURES, describe
from fetchrules.words.providers import PROVIDERS, Provider, provider_of


def kinds(base: type[errors.FetchError] = errors.FetchError) -> Iterator[type[errors.FetchError]]:
    yield base
    for kind in base.__subclasses__():
        if kind.__module__.startswith("fetchrules."):
            yield from kinds(kind)


@pytest.mark.parametrize("code", sorted({kind.code for kind in kinds()} | {"abandoned"}))
@pytest.mark.parametrize("language", ["ru", "en"])
def test_it_has_words_for_every_error(code: str, language: str) -> None:
    with translation.override(language):
        failure = describe(code)
    assert failure.title
    assert failure.remedy.endswith(".")
    if language == "ru":
        assert any("а" <= letter <= "я" for letter in failure.title.lower())


def test_it_has_words_for_nothing_else() -> None:
    assert set(FAILURES) == {kind.code for kind in kinds()} | {"abandoned"}


def test_it_tells_an_error_of_a_later_version_as_a_failed_poll() -> None:
    assert describe("never_heard_of") == describe("failed")


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("imap.yandex.ru", "yandex"),
        ("IMAP.YANDEX.COM.", "yandex"),
        ("pop.mail.ru", "mailru"),
        ("imap.gmail.com", "gmail"),
        ("outlook.office365.com", "outlook"),
        ("imap.mail.me.com", "icloud"),
        ("notyandex.ru", None),
        ("mail.example.org", None),
    ],
)
def test_it_knows_mail_services_by_their_servers(host: str, key: str | None) -> None:
    provider = provider_of(host)
    assert (provider.key if provider else None) == key


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.key)
def test_it_gives_a_mail_service_its_own_remedy(provider: Provider) -> None:

    for host in provider.hosts.values():
        failure = describe("login_refused", host)
        assert (failure.remedy, failure.help_url) == (str(provider.login), provider.help_url)
        assert provider_of(host) is provider
    assert describe("timed_out", next(iter(provider.hosts.values()))).help_url == ""


def test_it_leads_to_fields_that_the_form_has() -> None:
    assert {entry.field for entry in FAILURES.values()} - {""} <= set(RuleForm.base_fields)
