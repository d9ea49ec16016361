"""What those see who watch from outside: /healthz and /readyz, through gunicorn as docker-compose.yml runs it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.browser import Browser
from tests.interop.installation import ROOT, Installation, Panel
from tests.interop.postgres import Postgres
from tests.interop.process import free_ports
from tests.interop.redis_server import Redis
from tests.servers.loopback import LoopbackServer, Peer
from tests.waiting import until

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
BEHIND_A_PROXY = {"UTM_MAIL_ALLOWED_HOSTS": "mail.mydomain.ru", "UTM_MAIL_BEHIND_PROXY": "1"}
ADMINISTRATOR = """
from django.contrib.auth.models import User
User.objects.create_superuser("alice", password="correct horse battery staple")
User.objects.create_user("charlie", password="correct horse battery staple")
"""


def as_composed() -> Iterator[str]:
    """The arguments of gunicorn in docker-compose.yml."""
    command = re.search(r"command: gunicorn utm_mail\.wsgi --bind \S+ (.*)", COMPOSE)
    assert command
    yield from command[1].split()


@contextmanager
def served(directory: Path, **env: str) -> Iterator[Panel]:
    installation = Installation(directory, BEHIND_A_PROXY | env)
    with installation.gunicorn(*as_composed()) as panel:
        yield panel


@pytest.fixture
def whole(tmp_path: Path, postgres: Postgres, redis_server: Redis) -> Installation:
    """The environment of docker-compose.yml, on its services."""
    env = {"UTM_MAIL_DATABASE_URL": postgres.new_database(), "UTM_MAIL_REDIS_URL": redis_server.new_url()}
    return Installation(tmp_path, BEHIND_A_PROXY | env)


def through_the_proxy(panel: Panel) -> Browser:
    headers = {"Host": "mail.mydomain.ru", "X-Forwarded-Proto": "https", "Referer": "https://mail.mydomain.ru/"}
    return Browser(panel.address, headers)


def test_it_is_ready_when_all_its_parts_are(whole: Installation) -> None:
    whole.prepare()
    whole.manage("shell", "-v0", "-c", ADMINISTRATOR)
    with whole.gunicorn(*as_composed()) as panel:
        stranger, alice, charlie = Browser(panel.address), through_the_proxy(panel), through_the_proxy(panel)
        for name, browser in (("alice", alice), ("charlie", charlie)):
            assert browser.log_in(name, "correct horse battery staple").status == 302
        assert (stranger.get("/readyz").status, stranger.get("/readyz").text) == (503, "not ready\n")
        assert charlie.get("/readyz").text == "not ready\n"
        assert len(alice.get("/readyz").text.splitlines()) == 3  # the word, the worker, the scheduler
        with whole.celery("worker", "-P", "threads"), whole.celery("beat"):
            until(lambda: Browser(panel.address).get("/readyz").status == 200, 60)
            assert stranger.get("/readyz").text == "ready\n"


def test_it_is_not_ready_before_its_tables_are_made(whole: Installation) -> None:
    with whole.gunicorn(*as_composed()) as panel:
        assert Browser(panel.address).get("/readyz").status == 503
        assert Browser(panel.address).get("/healthz").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_answers_by_any_name_and_without_tls(path: str, tmp_path: Path) -> None:
    with served(tmp_path) as panel:
        answer = Browser(panel.address, {"Host": "10.0.0.7:8000"}).get(path)
        assert answer.text in {"ok\n", "not ready\n"}
        assert "Set-Cookie" not in answer.headers
        assert Browser(panel.address, {"Host": "10.0.0.7:8000"}).get("/login/").status == 400


def test_it_answers_when_the_database_refuses(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with served(tmp_path, UTM_MAIL_DATABASE_URL=f"postgres://tests@127.0.0.1:{port}/none") as panel:
        assert Browser(panel.address).get("/healthz").text == "ok\n"
        assert Browser(panel.address).get("/readyz").text == "not ready\n"


def test_it_answers_when_the_database_is_silent(tmp_path: Path) -> None:
    def fall_silent(peer: Peer) -> None:
        peer.stall()

    with (
        LoopbackServer(fall_silent) as silent,
        served(tmp_path, UTM_MAIL_DATABASE_URL=f"postgres://tests@127.0.0.1:{silent.port}/none") as panel,
    ):
        answers = [Browser(panel.address).get("/readyz").text for _ in range(6)]
        assert answers == ["not ready\n"] * 6
        assert Browser(panel.address).get("/healthz").text == "ok\n"


def test_compose_asks_whether_the_web_process_answers(tmp_path: Path) -> None:
    check = re.search(r'test: \["CMD", "python", "-c", "(.*)"\]', COMPOSE)
    assert check
    with served(tmp_path) as panel:
        assert Browser(panel.address).get("/healthz").status == 200  # by now the workers have started
        there = check[1].replace("127.0.0.1:8000", panel.address.split("/")[2])
        assert subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, check=False).stderr == ""
    assert subprocess.run([sys.executable, "-c", there], capture_output=True, check=False).returncode != 0


def test_it_keeps_cookies_to_this_host_where_there_is_tls(tmp_path: Path, whole: Installation) -> None:
    whole.prepare()
    whole.manage("shell", "-v0", "-c", ADMINISTRATOR)
    with whole.gunicorn(*as_composed()) as panel:
        alice = through_the_proxy(panel)
        answer = alice.log_in("alice", "correct horse battery staple")
        cookies = answer.headers.get_all("Set-Cookie", [])
        assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-sessionid", "__Host-csrftoken"}
        assert all({"Secure", "Path=/", "HttpOnly"} <= set(cookie.split("; ")) for cookie in cookies)
        assert answer.headers["Server"] == "gunicorn"
