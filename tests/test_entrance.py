"""The way in, on a running panel."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fetchrules.acts.attempts import FROM_ONE_PLACE_AS_ONE
from tests.interop.browser import Browser
from tests.interop.installation import Installation, Panel

AT_ONCE = 40
GUARDS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("entrance"))
    installation.prepare()
    return installation


@pytest.fixture(scope="module")
def panel(installation: Installation) -> Iterator[Panel]:
    with installation.up() as panel:
        yield panel


def test_it_looks_at_ten_passwords_however_many_come_at_once(panel: Panel) -> None:
    with ThreadPoolExecutor(AT_ONCE) as people:
        answers = list(people.map(lambda _: Browser(panel.address).log_in("nobody", "guess").status, range(AT_ONCE)))
    assert set(answers) <= {200, 429}
    assert Counter(answers)[200] <= FROM_ONE_PLACE_AS_ONE
    assert Browser(panel.address).log_in("somebody", "guess").status == 200


@pytest.mark.parametrize("path", ["/", "/login/", "/nowhere/", "/admin/"])
def test_it_refuses_a_foreign_host_name(path: str, panel: Panel) -> None:
    answer = Browser(panel.address, {"Host": "evil.example"}).get(path)
    assert answer.status == 400
    assert "evil.example" not in answer.text
    assert "<h1>" in answer.text


def test_it_says_that_a_static_file_is_missing(panel: Panel) -> None:
    answer = Browser(panel.address).get("/static/css/nothing.css")
    assert answer.status == 404
    assert "<h1>" in answer.text


@pytest.mark.parametrize("path", ["/static/", "/static/..%2f..%2fmanage.py", "/static/../manage.py", "/static/%00"])
def test_it_serves_static_files_alone(path: str, panel: Panel) -> None:
    assert Browser(panel.address).get(path).status in {400, 404}


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/", ""),
        ("/login/", ""),
        ("/nowhere/", ""),
        ("/static/css/tokens.css", ""),
        ("/static/nothing.css", ""),
        ("/", "evil.example"),
        ("/healthz", ""),
        ("/readyz", ""),
    ],
)
def test_it_sends_every_answer_with_the_same_guards(path: str, host: str, panel: Panel) -> None:
    answer = Browser(panel.address, {"Host": host} if host else {}).get(path)
    assert {name: answer.headers.get(name) for name in GUARDS} == GUARDS
    assert answer.headers["Permissions-Policy"].startswith("accelerometer=()")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_it_names_no_version(panel: Panel) -> None:
    assert Browser(panel.address).get("/login/").headers["Server"] == "utm-mail"
