"""Production settings leave nothing for `check --deploy` to say, and it looks at those that are really run with."""

from pathlib import Path

from tests.interop.browser import Browser
from tests.interop.installation import Installation


def test_it_is_fit_to_be_deployed_as_it_comes(tmp_path: Path) -> None:
    installation = Installation(tmp_path, {"UTM_MAIL_ALLOWED_HOSTS": "mail.mydomain.ru", "UTM_MAIL_BEHIND_PROXY": "1"})
    tmp_path.chmod(0o700)
    said = installation.manage("check", "--deploy", "--fail-level", "DEBUG")
    assert (said.stdout.count("\n"), said.stderr) == (1, "")


def said(tmp_path: Path, **env: str) -> str:
    tmp_path.chmod(0o700)
    done = Installation(tmp_path, env).manage("check", "--deploy")
    return done.stdout + done.stderr


def test_it_says_what_up_does_without_tls(tmp_path: Path) -> None:
    assert "SESSION_COOKIE_SECURE" in said(tmp_path)


def test_it_says_what_gunicorn_does(tmp_path: Path) -> None:
    assert "SESSION_COOKIE_SECURE" not in said(tmp_path, UTM_MAIL_REDIS_URL="redis://127.0.0.1:6379/0")


def test_it_demands_tls_of_up_behind_a_proxy(tmp_path: Path) -> None:
    installation = Installation(tmp_path, {"UTM_MAIL_ALLOWED_HOSTS": "127.0.0.1", "UTM_MAIL_BEHIND_PROXY": "1"})
    installation.prepare()
    with installation.up() as panel:
        assert Browser(panel.address).get("/login/").headers["Location"].startswith("https://")
        answer = Browser(panel.address, {"X-Forwarded-Proto": "https"}).get("/login/")
        assert "__Host-csrftoken" in answer.headers["Set-Cookie"]
