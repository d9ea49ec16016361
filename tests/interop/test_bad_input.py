"""Whatever is wrong with one rule ends as one line with a stable code; nothing is lost, and the other rules go on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation
from tests.interop.process import free_ports
from tests.servers.loopback import LoopbackServer, Peer
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import Pop3Server

pytestmark = pytest.mark.interop

LETTER = b"Subject: stays\n\nuntil it can be delivered\n"


def talk_nonsense(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.fixture(scope="module")
def installation(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation.beside(dovecot, tmp_path_factory.mktemp("bad"))
    installation.prepare()
    return installation


@pytest.fixture(scope="module")
def rows(dovecot: Dovecot, installation: Installation) -> Iterator[dict[str, dict[str, Any]]]:
    """What `poll --all --json` says of each rule, by its recipient's local part."""
    for user in ("bad-good", "bad-password", "bad-maildir"):
        dovecot.put(user, [LETTER])
    (dovecot.mail / "file.ru").write_text("a file where the domain's directory should be")
    expired = dovecot.certificates.expired.context()
    (nobody,) = free_ports(1)
    with LoopbackServer(talk_nonsense) as nonsense, Pop3Server(Maildrop(), tls=expired, implicit=True) as old:
        rules = {
            "good": ("localhost:pop3", "bad-good", PASSWORD, "mydomain.ru", dovecot.pop3),
            "password": ("localhost:pop3", "bad-password", "wrong", "mydomain.ru", dovecot.pop3),
            "maildir": ("localhost:pop3", "bad-maildir", PASSWORD, "file.ru", dovecot.pop3),
            "host": ("no-such-host.invalid:pop3", "any", PASSWORD, "mydomain.ru", 110),
            "refused": ("localhost:pop3", "any", PASSWORD, "mydomain.ru", nobody),
            "certificate": ("localhost:pop3s", "any", PASSWORD, "mydomain.ru", old.port),
            "nonsense": ("localhost:pop3", "any", PASSWORD, "mydomain.ru", nonsense.port),
        }
        lines = [
            f"{server} {user} {password} {name}@{domain} port {port}\n"
            for name, (server, user, password, domain, port) in rules.items()
        ]
        installation.paste("".join(lines))
        yield {row["recipient"].partition("@")[0]: row for row in installation.poll("--all", expect=1)}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("password", "login_refused"),
        ("maildir", "mailbox_unwritable"),
        ("host", "host_not_found"),
        ("refused", "connect_failed"),
        ("certificate", "certificate_expired"),
        ("nonsense", "protocol_error"),
    ],
)
def test_it_says_what_and_what_to_do(rows: dict[str, dict[str, Any]], name: str, code: str) -> None:
    error = rows[name]["error"]
    assert (rows[name]["outcome"], error["code"]) == ("failed", code)
    assert error["message"]
    assert error["remedy"]


def test_it_polls_the_other_rules(rows: dict[str, dict[str, Any]], dovecot: Dovecot) -> None:
    assert (rows["good"]["outcome"], rows["good"]["fetched"], rows["good"]["error"]) == ("collected", 1, None)
    assert dovecot.letters("good@mydomain.ru") == [LETTER]


@pytest.mark.parametrize("user", ["bad-password", "bad-maildir"])
def test_it_loses_nothing(rows: dict[str, dict[str, Any]], dovecot: Dovecot, user: str) -> None:
    assert dovecot.letters(user) == [LETTER]


def test_it_names_line_and_column_of_a_mistake(installation: Installation, tmp_path: Path) -> None:
    text = "# comment\nmailserver.ru:pop3 petrov petrovpasswd i.petrov@mydomain.ru kep\n"
    (tmp_path / "rules").write_text(text)
    refused = installation.manage("rules", "import", str(tmp_path / "rules"), expect=2)
    assert "2:61" in refused.stderr
    assert "keep" in refused.stderr
