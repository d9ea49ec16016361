"""The main job from outside: a rule is pasted, the letters of a real Dovecot's mailbox lie in the Maildir, once each."""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation
from tests.interop.postgres import Postgres
from tests.interop.redis_server import Redis
from tests.waiting import until

pytestmark = pytest.mark.interop

LAST_RESULTS = """
import json
from fetchrules.models import FetchRule
names = [f"last_{name}" for name in ("found", "fetched", "deleted", "skipped", "octets", "error")]
print(json.dumps(list(FetchRule.objects.order_by("position").values("failures", *names))))
"""

_users = count(1)


def some_letters(number: int) -> list[bytes]:
    """Different from one another, and awkward: dots at the line's beginning, long lines, octets beyond ASCII, a lone CR."""
    bodies = [
        b"plain\n",
        b".\n..\n.dot\n\n.\n",
        b"x" * 5000 + b"\n",
        "«Письмо»\n".encode(),
        b"From the beginning of a line\n",
        b"\n\n\n",
        b"a lone \r in the middle\n",
    ]
    return [
        b"From: sender@mailserver.ru\nSubject: letter %d\nMessage-ID: <%d@mailserver.ru>\n\n%s"
        % (one, one, bodies[one % len(bodies)])
        for one in range(number)
    ]


def new_user() -> str:
    """A remote mailbox that nobody has used."""
    return f"petrov{next(_users)}"


@pytest.fixture
def installation(dovecot: Dovecot, tmp_path: Path) -> Installation:
    installation = Installation.beside(dovecot, tmp_path)
    installation.prepare()
    return installation


CONNECTIONS = {"plain": ("pop3", "plaintext"), "starttls": ("pop3", "starttls"), "tls": ("pop3s", "ssl")}


def test_it_brings_three_hundred_letters_once(dovecot: Dovecot, installation: Installation) -> None:
    put = some_letters(300)
    lines = []
    for name, (listener, words) in CONNECTIONS.items():
        dovecot.put(name, put)
        port = getattr(dovecot, listener)
        lines.append(f"localhost:pop3 {name} {PASSWORD} {name}@mydomain.ru {words} port {port}\n")
    installation.paste("".join(lines))

    first, second = installation.poll("--all"), installation.poll("--all")

    for row in first:
        assert (row["found"], row["fetched"], row["deleted"], row["error"]) == (300, 300, 300, None)
    for row in second:
        assert (row["found"], row["fetched"], row["error"]) == (0, 0, None)
    for name in CONNECTIONS:
        assert dovecot.letters(name) == []
        assert sorted(dovecot.letters(f"{name}@mydomain.ru")) == sorted(put)
        assert sorted(dovecot.read(f"{name}@mydomain.ru")) == sorted(letter.replace(b"\n", b"\r\n") for letter in put)


TABLE = {
    "keep": [(3, 3), (3, 3)],
    "keep flush": [(3, 2), (3, 0)],
    "nokeep": [(3, 1), (3, 1)],
    "nokeep flush": [(3, 0), (3, 0)],
    "nokeep fetchall": [(4, 0), (4, 0)],
}
"""A letter that was collected under `keep`, then two new ones: (letters delivered, letters left) after each of two polls."""


def test_it_ends_as_the_table_says(dovecot: Dovecot, installation: Installation) -> None:
    users = {words: new_user() for words in TABLE}
    account = f"{{user}} {PASSWORD} {{user}}@mydomain.ru port {dovecot.pop3}"
    lines = {words: f"localhost:pop3 {account.format(user=user)}" for words, user in users.items()}
    old, *new = some_letters(3)
    for user in users.values():
        dovecot.put(user, [old])
    installation.paste("".join(f"{line} keep\n" for line in lines.values()))
    installation.poll("--all")
    for user in users.values():
        dovecot.put(user, new)
    installation.paste("".join(f"{line} {words}\n" for words, line in lines.items()))

    for number in range(2):
        installation.poll("--all")
        found = {
            words: (len(dovecot.letters(f"{user}@mydomain.ru")), len(dovecot.letters(user)))
            for words, user in users.items()
        }
        assert found == {words: polls[number] for words, polls in TABLE.items()}


@dataclass(frozen=True)
class Outcome:
    """What was delivered, and what the panel says of each rule."""

    letters: list[list[bytes]]
    results: list[dict[str, object]]


class Three:
    """An installation with three mailboxes: one to empty, one to keep, one that cannot be opened."""

    def __init__(self, dovecot: Dovecot, installation: Installation) -> None:
        self._dovecot = dovecot
        self._installation = installation
        users = [new_user() for _ in range(3)]
        self._recipients = [f"{user}@mydomain.ru" for user in users]
        for user, number in zip(users, (40, 30, 5), strict=True):
            dovecot.put(user, some_letters(number))
        installation.prepare()
        installation.paste(
            f"localhost:pop3 {users[0]} {PASSWORD} {users[0]}@mydomain.ru port {dovecot.pop3}\n"
            f"localhost:pop3s {users[1]} {PASSWORD} {users[1]}@mydomain.ru keep port {dovecot.pop3s}\n"
            f"localhost:pop3 {users[2]} wrong {users[2]}@mydomain.ru port {dovecot.pop3}\n"
        )

    def letters(self) -> list[list[bytes]]:
        return [sorted(self._dovecot.letters(recipient)) for recipient in self._recipients]

    def results(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(self._installation.manage("shell", "-v0", "-c", LAST_RESULTS).stdout)
        return rows

    def are_done(self) -> bool:
        return all(row["last_found"] or row["last_error"] for row in self.results())


@pytest.fixture(scope="module")
def by_command(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What `manage.py poll --all` does with the three."""
    installation = Installation.beside(dovecot, tmp_path_factory.mktemp("command"))
    three = Three(dovecot, installation)
    installation.poll("--all", expect=1)
    return Outcome(three.letters(), three.results())


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_it_does_the_same_through_celery(
    dovecot: Dovecot,
    redis_server: Redis,
    by_command: Outcome,
    database: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    env = {"UTM_MAIL_REDIS_URL": redis_server.new_url()}
    if database == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        env["UTM_MAIL_DATABASE_URL"] = server.new_database()
    installation = Installation.beside(dovecot, tmp_path, env)
    three = Three(dovecot, installation)

    with installation.celery("worker", "-P", "threads"), installation.celery("beat"):
        until(lambda: [len(letters) for letters in three.letters()] == [40, 30, 0], 60)
        until(three.are_done)

    assert Outcome(three.letters(), three.results()) == by_command
    assert [len(letters) for letters in by_command.letters] == [40, 30, 0]
