"""What real fetchmail makes of a .fetchmailrc: the Python that `fetchmail --configdump` prints, evaluated."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_fetchmail = pytest.mark.skipif(
    shutil.which("fetchmail") is None and not os.environ.get("UTM_MAIL_TEST_ALL"), reason="Debian package fetchmail"
)


def configdump(directory: Path, text: str) -> list[dict[str, Any]]:
    """The servers of the file, as fetchmail read them. Raises AssertionError with its complaint where it did not."""
    path = directory / "fetchmailrc"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    home = {**os.environ, "HOME": str(directory), "LC_ALL": "C"}
    done = subprocess.run(
        ["fetchmail", "--configdump", "-f", path], env=home, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    said = done.stdout.decode("latin-1")
    names: dict[str, Any] = {}
    exec(said[said.index("TRUE=1") :], names)
    servers: list[dict[str, Any]] = names["fetchmailrc"]["servers"]
    return servers
