#!/usr/bin/env python
"""Django's command line: see docs/ for the commands."""

import os
import sys


def tell_settings_of_up(arguments: list[str]) -> None:
    """What `up` means for the settings, before they load: it speaks plain HTTP, and --demo has a place of its own."""
    os.environ.setdefault("UTM_MAIL_INSECURE_HTTP", "1")
    if "--demo" in arguments:
        os.environ.setdefault("UTM_MAIL_DEMO", "1")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "utm_mail.settings")
    if sys.argv[1:2] == ["up"]:
        tell_settings_of_up(sys.argv[2:])
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
