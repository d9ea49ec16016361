"""Production settings leave nothing for `check --deploy` to say."""

from pathlib import Path

from tests.interop.installation import Installation


def test_it_is_fit_to_be_deployed_as_it_comes(tmp_path: Path) -> None:
    installation = Installation(tmp_path, {"UTM_MAIL_ALLOWED_HOSTS": "mail.mydomain.ru", "UTM_MAIL_BEHIND_PROXY": "1"})
    tmp_path.chmod(0o700)
    said = installation.manage("check", "--deploy", "--fail-level", "DEBUG")
    assert (said.stdout.count("\n"), said.stderr) == (1, "")
