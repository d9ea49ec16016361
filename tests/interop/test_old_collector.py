"""Moving from Debian's fetchmail, getmail6 or mpop that left its letters on a POP3 server: a real Dovecot."""

import os
import pwd
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.fixtures import short_path
from tests.interop.installation import Installation
from tests.interop.installed import program
from tests.interop.test_collecting import some_letters

pytestmark = pytest.mark.interop

_users = count(1)


def fetchmail(dovecot: Dovecot, user: str, home: Path) -> Path:
    rc, ids = home / "fetchmailrc", home / ".fetchids"
    rc.write_text(
        f"poll localhost service {dovecot.pop3} protocol pop3 uidl user {user} password {PASSWORD} "
        "mda /bin/true keep sslproto ''\n"
    )
    rc.chmod(0o600)
    command = program("fetchmail", "fetchmail"), "-f", rc, "-i", ids, "--pidfile", home / "pid", "--silent"
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return ids


def mpop(dovecot: Dovecot, user: str, home: Path) -> Path:
    rc, uidls = home / "mpoprc", home / "uidls"
    rc.write_text(
        f"account default\nhost localhost\nport {dovecot.pop3}\nuser {user}\npassword {PASSWORD}\ntls off\nauth user\n"
        f"delivery mda cat\nkeep on\nuidls_file {uidls}\n"
    )
    rc.chmod(0o600)
    command = program("mpop", "mpop"), "-C", rc, "-q"
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return uidls


def getmail(dovecot: Dovecot, user: str, home: Path) -> Path:
    """It refuses to deliver as root."""
    mail = home / "mail"
    for part in ("tmp", "new", "cur"):
        (mail / part).mkdir(parents=True)
    (home / "getmailrc").write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = localhost\nport = {dovecot.pop3}\nusername = {user}\n"
        f"password = {PASSWORD}\ntimeout = 60\n[destination]\ntype = Maildir\npath = {mail}/\n"
        "[options]\ndelete = false\nread_all = false\nverbose = 0\n"
    )
    command: list[str | Path] = [program("getmail", "getmail6"), "--getmaildir", home, "--quiet"]
    if not os.geteuid():
        nobody = pwd.getpwnam("nobody")
        for path in (home, home / "getmailrc", mail, *mail.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *command]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (found,) = home.glob("oldmail-*")
    return found


@pytest.mark.parametrize("collector", [fetchmail, getmail, mpop], ids=lambda collector: collector.__name__)
def test_it_collects_only_what_the_old_collector_had_not(
    collector: Callable[[Dovecot, str, Path], Path], dovecot: Dovecot, tmp_path: Path
) -> None:
    installation = Installation.beside(dovecot, tmp_path)
    installation.prepare()
    user = f"mover{next(_users)}@old.example"
    recipient = f"{collector.__name__}@mydomain.ru"
    letters = some_letters(30)
    dovecot.put(user, letters[:20])
    with short_path() as directory:
        home = Path(directory)
        home.chmod(0o755)
        seen = collector(dovecot, user, home)
        dovecot.put(user, letters[20:])
        line = f"LocalHost:pop3 {user} {PASSWORD} {recipient} keep port {dovecot.pop3}\n"
        installation.manage("rules", "import", "-", "--seen", str(seen), text=line)

    (first,) = installation.poll("--all")
    (second,) = installation.poll("--all")

    assert (first["found"], first["fetched"], first["left"], first["error"]) == (30, 10, {"elsewhere": 20}, None)
    assert (second["found"], second["fetched"], second["left"]) == (30, 0, {"passed": 20, "seen": 10})
    assert sorted(dovecot.letters(recipient)) == sorted(letters[20:])
    assert len(dovecot.letters(user)) == 30
