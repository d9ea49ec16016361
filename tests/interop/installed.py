"""Programs of the machine that a test needs: found, or the test is skipped with the name of the Debian package."""

import os
import shutil
from pathlib import Path
from typing import Never

import pytest

ALL_DEMANDED = os.environ.get("UTM_MAIL_TEST_ALL") == "1"

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def program(name: str, package: str) -> Path:
    """The program `name`. Without it the test is skipped; with UTM_MAIL_TEST_ALL=1 that is an error."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        absent(f"{name} is not installed (Debian: apt-get install {package})")
    return Path(found)


def absent(why: str) -> Never:
    """Skip the test, or fail it where nothing may be skipped."""
    if ALL_DEMANDED:
        pytest.fail(why)
    pytest.skip(why)
