"""What the wheel and the sdist hold, and that the product does its work where nothing but the wheel is installed."""

import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.browser import Browser
from tests.interop.installation import ROOT, Installation, Panel
from tests.interop.postgres import Postgres
from tests.interop.redis_server import Redis
from tests.interop.wheel import Wheel
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, USER, Pop3Server
from tests.waiting import until

pytestmark = pytest.mark.interop

CODE = {f"{package}/**/*.py" for package in ("fetchrules", "utm_mail")} | {"fetchrules/locale/*/LC_MESSAGES/*.mo"}
CARRIED = {"templates/**/*", "static/**/*", "docs/manual.*.md", "docs/images/*"}

RULE = {
    "server": "127.0.0.1",
    "protocol": "pop3",
    "encryption": "auto",
    "user": USER,
    "password": PASSWORD,
    "recipient": "i.petrov@mydomain.ru",
    "treatment": "take",
    "limit_unit": "m",
    "interval": "1440",
    "enabled": "on",
}


def in_repository(*patterns: str) -> set[str]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Wheel) -> None:
    product = {name for name in in_wheel(wheel.file) if ".dist-info/" not in name}
    assert product == in_repository(*CODE) | {f"utm_mail/files/{name}" for name in in_repository(*CARRIED)}
    assert [name for name in in_wheel(wheel.file) if name.endswith("/licenses/LICENSE")]


def test_the_sdist_builds_the_wheel_that_the_checkout_builds(wheel: Wheel) -> None:
    assert in_wheel(wheel.file) == in_wheel(wheel.from_checkout)


def test_the_sdist_is_a_whole_checkout(wheel: Wheel) -> None:
    source = wheel.directory / "source"
    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    with tarfile.open(wheel.sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()}
    left_out = {name for name in there - packed if ".egg-info/" not in name and not name.startswith("build/")}
    assert left_out == set()


def test_it_asks_for_packages_that_go_together(wheel: Wheel) -> None:
    assert wheel.pip("check") == "No broken requirements found.\n"


@pytest.fixture(scope="module")
def panel(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """`utm-mail up` on an empty data directory."""
    with Installation(tmp_path_factory.mktemp("installed"), programs=wheel.programs).up() as panel:
        yield panel


@pytest.fixture(scope="module")
def browser(panel: Panel) -> Browser:
    """Signed in with the password that `up` printed."""
    browser = Browser(panel.address)
    assert panel.password
    browser.log_in("admin", panel.password)
    return browser


@pytest.mark.parametrize(("language", "word"), [("ru", "Служба"), ("en", "The service")])
def test_installed_it_shows_pages_in_both_languages(language: str, word: str, browser: Browser) -> None:
    in_language = Browser(browser.address, {"Accept-Language": language}, browser.cookies)
    assert word in in_language.get("/").text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/static/css/app.css", "text/css"),
        ("/static/img/icons.svg", "image/svg"),
        ("/static/js/panel.js", "text/javascript"),
    ],
)
def test_installed_it_serves_its_static_files(path: str, kind: str, browser: Browser) -> None:
    assert str(browser.get(path).headers["Content-Type"]).startswith(kind)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_installed_it_shows_the_manual_with_its_pictures(language: str, browser: Browser) -> None:
    page = browser.get(f"/help/manual/{language}/").text
    pictures = in_repository("docs/images/*.png")
    assert {name for name in pictures if f"/help/images/{Path(name).name}" not in page} == set()
    answers = [browser.get(f"/help/images/{Path(name).name}") for name in pictures]
    assert {(answer.status, answer.headers["Content-Type"]) for answer in answers} == {(200, "image/png")}


def test_installed_it_collects_letters_and_ends_in_good_order(wheel: Wheel, tmp_path: Path) -> None:
    maildrop = Maildrop([letter("one"), letter("two")])
    with Pop3Server(maildrop) as server, Installation(tmp_path, programs=wheel.programs).up() as panel:
        browser = Browser(panel.address)
        assert panel.password
        browser.log_in("admin", panel.password)
        browser.post("/rules/new/", {**RULE, "port": str(server.port)})
        until(lambda: len(arrived(tmp_path)) == 2 and not maildrop.letters)
        assert panel.stop() == 0
        assert "Traceback" not in panel.log.read_text()


def test_installed_it_copies_its_static_files_for_a_proxy(wheel: Wheel, tmp_path: Path) -> None:
    Installation(tmp_path, programs=wheel.programs).manage("collectstatic", "--noinput", "-v0")
    copied = {str(path.relative_to(tmp_path)) for path in (tmp_path / "static").rglob("*") if path.is_file()}
    assert in_repository("static/**/*") <= copied


def test_installed_it_keeps_its_data_where_the_system_keeps_data(wheel: Wheel) -> None:
    """Asked for without making it; as root, then as somebody else, where the tests run as root."""
    ask = "from utm_mail.env import data_directory as d; import os; print(d()); os.geteuid() or os.setuid(65534); print(d())"
    for surroundings, place in (({}, "/home/petrov/.local/share"), ({"XDG_DATA_HOME": "/data"}, "/data")):
        command = [str(wheel.python), "-c", ask]
        env = {"HOME": "/home/petrov", **surroundings}
        said = subprocess.run(command, env=env, cwd=wheel.programs.cwd, capture_output=True, text=True, check=True)
        first, then = said.stdout.split()
        assert (first == "/var/lib/utm-mail", then) == (first != then, f"{place}/utm-mail")


@contextmanager
def services(installation: Installation) -> Iterator[Browser]:
    """Worker, scheduler and gunicorn as processes of their own; a signed-in administrator."""
    with (
        installation.celery("worker", "-P", "threads"),
        installation.celery("beat"),
        installation.gunicorn("--worker-class", "gthread", "--threads", "8") as panel,
    ):
        browser = Browser(panel.address)
        browser.log_in("admin", "correct horse battery staple")
        try:
            yield browser
        except TimeoutError as error:
            error.add_note("\n".join(log.read_text() for log in sorted(installation.data.glob("*.log"))))
            raise


def test_installed_it_collects_with_processes_of_their_own_on_redis_and_postgresql(
    wheel: Wheel, redis_server: Redis, postgres: Postgres, tmp_path: Path
) -> None:
    """Without anything that only the tests need. A saved rule and «Опросить сейчас» go from gunicorn over Redis to the worker."""
    env = {
        "UTM_MAIL_REDIS_URL": redis_server.new_url(),
        "UTM_MAIL_DATABASE_URL": postgres.new_database(),
        "UTM_MAIL_INSECURE_HTTP": "1",
        "DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple",
    }
    installation = Installation(tmp_path, env, wheel.programs)
    installation.manage("migrate", "-v0")
    installation.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@mydomain.ru")
    maildrop = Maildrop([letter("first")])
    with Pop3Server(maildrop) as server, services(installation) as browser:
        browser.post("/rules/new/", {**RULE, "port": str(server.port)})
        until(lambda: len(arrived(tmp_path)) == 1)
        maildrop.add(letter("second"))
        until(lambda: "Служба работает" in browser.get("/").text)
        browser.post("/rules/1/poll/", {}, form="/")
        until(lambda: len(arrived(tmp_path)) == 2 and not maildrop.letters)


def arrived(data: Path) -> list[Path]:
    """The letters in the Maildir of RULE's recipient."""
    return list(data.glob("mail/mydomain.ru/i.petrov/new/*"))
