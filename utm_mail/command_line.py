"""The command line: `utm-mail` where the product is installed, `manage.py` in a checkout."""

import os
import sys

from django.core.management import execute_from_command_line

from utm_mail.env import BadEnvironment, boolean, read


def main() -> None:
    """Run a management command. Raises SystemExit if the environment cannot be used."""
    try:
        if sys.argv[1:2] == ["up"] or (sys.argv[1:2] == ["check"] and not read("UTM_MAIL_REDIS_URL")):
            _tell_settings_of_up(sys.argv[2:])  # without Redis, only `up` can run
        execute_from_command_line(sys.argv)
    except BadEnvironment as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error


def _tell_settings_of_up(arguments: list[str]) -> None:
    """Set the environment of `up` before the settings load: plain HTTP unless a proxy ends TLS, and another place for --demo."""
    if not boolean("UTM_MAIL_BEHIND_PROXY"):
        os.environ.setdefault("UTM_MAIL_INSECURE_HTTP", "1")
    if "--demo" in arguments:
        os.environ.setdefault("UTM_MAIL_DEMO", "1")
