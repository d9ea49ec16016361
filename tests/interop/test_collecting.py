"""The main job from outside: a rule is pasted, the letters of a real Dovecot's mailbox lie in the Maildir, once each."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    installation.manage("migrate", "-v0")
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


@contextmanager
def processes(installation: Installation) -> Iterator[None]:
    """A worker and a scheduler, as on several machines."""
    with installation.celery("worker", "-P", "threads", "--loglevel", "INFO"), installation.celery("beat"):
        yield


def mailboxes_of(dovecot: Dovecot) -> tuple[list[str], str]:
    """Recipients, and rules that bring them letters: one mailbox to empty, one to keep, one that cannot be opened."""
    users = [new_user() for _ in range(3)]
    for user, number in zip(users, (40, 30, 5), strict=True):
        dovecot.put(user, some_letters(number))
    lines = [
        f"localhost:pop3 {users[0]} {PASSWORD} {users[0]}@mydomain.ru port {dovecot.pop3}",
        f"localhost:pop3s {users[1]} {PASSWORD} {users[1]}@mydomain.ru keep port {dovecot.pop3s}",
        f"localhost:pop3 {users[2]} wrong {users[2]}@mydomain.ru port {dovecot.pop3}",
    ]
    return [f"{user}@mydomain.ru" for user in users], "\n".join(lines) + "\n"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    def url() -> str:
        if request.param == "sqlite":
            return ""
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_database()

    return url


def test_it_does_the_same_through_celery_as_from_the_command_line(
    dovecot: Dovecot, redis_server: Redis, database_url: Callable[[], str], tmp_path: Path
) -> None:
    results = []
    for way in ("command", "celery"):
        (tmp_path / way).mkdir()
        env = {"UTM_MAIL_REDIS_URL": redis_server.url, "UTM_MAIL_DATABASE_URL": database_url()}
        installation = Installation.beside(dovecot, tmp_path / way, env)
        installation.manage("migrate", "-v0")
        recipients, text = mailboxes_of(dovecot)

        def arrived(recipients: list[str] = recipients) -> list[list[bytes]]:
            return [sorted(dovecot.letters(recipient)) for recipient in recipients]

        def results_of(installation: Installation = installation) -> list[dict[str, object]]:
            rows: list[dict[str, object]] = json.loads(installation.manage("shell", "-v0", "-c", LAST_RESULTS).stdout)
            return rows

        installation.paste(text)
        if way == "command":
            installation.poll("--all", expect=1)
        else:
            with processes(installation):
                until(lambda: all(row["last_found"] or row["last_error"] for row in results_of()), 60)
        assert [len(letters) for letters in arrived()] == [40, 30, 0]
        results.append((arrived(), results_of()))

    assert results[0] == results[1]
