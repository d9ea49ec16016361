"""Each channel tells once, for itself, with a back-off of its own; one that does not get through is an incident."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from pytest_django import Settings

from fetchrules.models import Channel, FetchRule, Incident, Notice, ServiceSettings
from fetchrules.notices import channels, incidents
from tests.notices.conftest import NOW, Hook, MakeRule, no_content
from tests.servers.loopback import Peer

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def refuse(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 503 Down\r\n\r\n")


def set_channels(**columns: object) -> None:
    ServiceSettings.current()
    ServiceSettings.objects.update(webhook_internal=True, **columns)


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def watch(minutes: int, *, first: int = 0) -> None:
    """As beat does, once a minute."""
    for minute in range(first, first + minutes):
        incidents.watch(NOW + minute * MINUTE)


@pytest.fixture
def no_mail_server(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "fetchrules.notices.mail.Backend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1


@pytest.fixture
def both(hook: Hook) -> Hook:
    set_channels(alert_addresses="postmaster@mydomain.ru", alert_webhook=hook.url)
    return hook


def test_it_sends_one_mail_while_the_webhook_is_broken(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing(user="petrov")
    watch(6)
    assert subjects() == ["Почта не собирается: petrov@mailserver.ru → i.petrov@mydomain.ru"]


def test_it_posts_to_the_webhook_while_the_mail_server_is_gone(
    both: Hook, failing: MakeRule, no_mail_server: None
) -> None:
    failing(user="petrov")
    watch(6)
    assert both.texts == ["Почта не собирается: petrov@mailserver.ru → i.petrov@mydomain.ru"]


def test_it_tries_a_broken_channel_less_and_less(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(61)
    assert len(both.received) == 5  # after 0, 2, 6, 14, 30 minutes


def test_it_tells_by_one_channel_that_the_other_is_broken_and_works_again(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(60)
    incident = Incident.objects.get(rule=None)
    assert (incident.kind, incident.error, incident.detail) == ("channel", "webhook", "server_refused: HTTP 503")
    assert incident.opened_at == NOW
    assert subjects()[1:] == ["Оповещения через веб-хук не доходят"]
    assert "HTTP 503" in mail.outbox[1].body

    both.answer = no_content
    watch(60, first=60)
    incident.refresh_from_db()
    assert incident.closed_at is not None
    assert subjects()[2].startswith("Исправлено: Оповещения через веб-хук снова доходят")
    assert len(subjects()) == 3
    assert both.received[-1]["ended"][-1]["kind"] == "channel"
    assert Channel.objects.get(name="webhook").failures == 0


def test_it_takes_a_channel_for_broken_at_its_third_failure(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(6)
    assert not Incident.objects.filter(rule=None).exists()
    watch(2, first=6)
    assert Incident.objects.filter(rule=None).exists()


def test_it_tries_a_broken_channel_though_there_is_nothing_else_to_tell(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(8)
    FetchRule.objects.update(failures=0)
    both.answer = no_content
    watch(60, first=8)
    assert not Incident.objects.filter(closed_at=None).exists()


def test_it_forgets_failures_when_nothing_is_left_to_tell(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(2)
    FetchRule.objects.update(failures=0)
    watch(1, first=2)
    assert not Channel.objects.exclude(failures=0).exists()


def test_it_ends_the_incident_of_a_channel_that_is_no_longer_set(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(8)
    told = subjects()
    set_channels(alert_webhook="")
    watch(3, first=8)
    assert not Incident.objects.filter(rule=None, closed_at=None).exists()
    assert not Channel.objects.filter(name="webhook").exists()
    assert subjects() == told


def test_it_tries_at_once_when_the_settings_were_changed(both: Hook, failing: MakeRule) -> None:
    both.answer = refuse
    failing()
    watch(15)
    both.answer, tries = no_content, len(both.received)
    channels.try_at_once(Channel.Name.WEBHOOK)
    watch(1, first=15)
    assert len(both.received) == tries + 1
    assert not Channel.objects.exclude(failures=0).exists()


def test_it_tells_a_new_channel_of_what_lasts(hook: Hook, failing: MakeRule) -> None:
    set_channels(alert_addresses="postmaster@mydomain.ru")
    failing(user="petrov")
    watch(1)
    set_channels(alert_webhook=hook.url)
    watch(2, first=1)
    assert len(hook.texts) == len(subjects()) == 1


def test_it_believes_no_next_try_of_a_clock_that_was_wrong(both: Hook, failing: MakeRule) -> None:
    Channel.objects.create(name="mail", failures=1, next_try_at=NOW + timedelta(days=15_000))
    failing()
    watch(1)
    assert len(subjects()) == 1


@pytest.mark.django_db(transaction=True)
def test_it_has_told_though_a_rule_was_deleted_meanwhile(hook: Hook, failing: MakeRule) -> None:
    set_channels(alert_webhook=hook.url)
    failing()
    failing()

    def answer(peer: Peer) -> None:
        FetchRule.objects.earliest("pk").delete()
        connection.close()
        no_content(peer)

    hook.answer = answer
    watch(2)
    assert len(hook.received) == 1
    assert Notice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_sends_once_though_two_watch_at_once(both: Hook, failing: MakeRule) -> None:
    failing()
    asked, second_is_through = Event(), Event()

    def answer(peer: Peer) -> None:
        asked.set()
        second_is_through.wait(60)
        no_content(peer)

    def first() -> None:
        incidents.watch(NOW)
        connection.close()

    both.answer = answer
    watcher = Thread(target=first)
    watcher.start()
    assert asked.wait(60)
    incidents.watch(NOW)
    second_is_through.set()
    watcher.join()
    assert len(both.received) == 1
    assert len(subjects()) == 1
    assert Notice.objects.count() == 2


def test_it_sends_once_though_another_was_quicker(hook: Hook, failing: MakeRule) -> None:
    """The other watcher does all of it between this one's look at the news and its attempt."""
    set_channels(alert_webhook=hook.url)
    failing()
    other = [incidents.watch]

    def let_it_go_first(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if other and sql.startswith('UPDATE "fetchrules_channel"'):
            other.pop()(NOW)
        return execute(sql, *rest)

    with connection.execute_wrapper(let_it_go_first):
        incidents.watch(NOW)
    assert (len(hook.received), other) == (1, [])


@pytest.mark.django_db(transaction=True)
def test_it_waits_longer_after_a_sender_that_died(hook: Hook, failing: MakeRule) -> None:
    """A watcher that never came back has left its try behind as a failure."""
    set_channels(alert_webhook=hook.url)
    failing()
    asked, over = Event(), Event()

    def hang(peer: Peer) -> None:
        asked.set()
        over.wait(60)

    def first() -> None:
        incidents.watch(NOW)
        connection.close()

    hook.answer = hang
    watcher = Thread(target=first)
    watcher.start()
    assert asked.wait(60)
    channel = Channel.objects.get()
    assert (channel.failures, channel.failing_since, channel.next_try_at) == (1, NOW, NOW + 2 * MINUTE)
    over.set()
    watcher.join()


@pytest.mark.parametrize("detail", ["", "server_refused: HTTP 503", "a code of a later version", "timed_out"])
def test_it_lists_faults_without_a_rule_on_the_page(detail: str, admin_client: Client) -> None:
    Incident.objects.create(kind="channel", error="mail", detail=detail, opened_at=NOW)
    Incident.objects.create(kind="local", error="disk_full", detail="No space left on device", opened_at=NOW)
    page = admin_client.get("/", headers={"accept-language": "en"}).content.decode()
    assert (
        page.count("Notices by e-mail do not get through since") == 2
    )  # in the strip, and with the reason above the list
    for path in ("incident", "notice", "channel"):
        assert admin_client.get(f"/admin/fetchrules/{path}/").status_code == 200


def test_it_tells_of_broken_channels_only_those_who_see_everything(client: Client, charlie: User) -> None:
    Incident.objects.create(kind="channel", error="webhook", detail="server_refused: HTTP 500", opened_at=NOW)
    client.force_login(charlie)
    assert "Notices by webhook" not in client.get("/", headers={"accept-language": "en"}).content.decode()
