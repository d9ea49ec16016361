"""What long listings and a large letter cost a process that has done nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fetchrules.rule import Protocol
from tests.benchmarks.conftest import At
from tests.benchmarks.engine import collect, engine, know
from tests.benchmarks.race import BODY
from tests.benchmarks.report import Row
from tests.benchmarks.scale import LETTERS, MB
from tests.benchmarks.simulator import simulator
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation

pytestmark = pytest.mark.benchmark

SECTION = "Large mailboxes and letters"
TIMES = 4


def installed(data: Path, rule: str) -> Installation:
    data.mkdir()
    ours = Installation(data, {"UTM_MAIL_INSECURE_HTTP": "1"})
    ours.prepare()
    ours.paste(rule)
    return ours


@contextmanager
def vast_letter(dovecot: Dovecot, user: str) -> Iterator[None]:
    """A letter that is too large to be made in memory."""
    dovecot.put(user, [])
    file = dovecot.maildir(user) / "new" / "1700000000.M1P1.tests"
    with file.open("wb") as written:
        written.write(b"From: a@example.org\r\nSubject: vast\r\nMessage-ID: <vast@example.org>\r\n\r\n")
        block = BODY * (1_000_000 // len(BODY))
        for _ in range(MB):
            written.write(block)
    dovecot.put(user, [])
    yield
    file.unlink(missing_ok=True)


@pytest.mark.parametrize("letters", [50 * LETTERS, 200 * LETTERS])
def test_it_polls_a_mailbox_that_keeps_its_letters(tmp_path: Path, letters: int) -> None:
    user = f"u7-{letters}-0"
    with simulator(tmp_path) as (port, _):
        ours = installed(tmp_path / "data", f"127.1.0.1:pop3 {user} pw {user}@mydomain.ru keep plaintext port {port}\n")
        engine(ours, know, letters)
        polls = engine(ours, collect, user, TIMES)
    assert {(one["error"], one["found"], one["fetched"]) for one in polls} == {(None, letters, 0)}
    of_time, of_memory = ("≤ 0.25 s", "") if letters == 50 * LETTERS else ("", "< 100 MB")
    name = f"a mailbox that keeps {letters:,} letters, POP3"
    Row(SECTION, f"{name}, CPU of a poll", "s", of_time).tell({"ours": min(one["cpu"] for one in polls)})
    Row(SECTION, f"{name}, memory that is added", "MB", of_memory).tell({"ours": max(one["mb"] for one in polls)})


def test_it_collects_a_very_large_letter(dovecot: Dovecot, at: At, tmp_path: Path) -> None:
    place = at(0)
    rule = f"{place.host}:pop3 vast {PASSWORD} vast@mydomain.ru plaintext port {place.ports[Protocol.POP3]}\n"
    ours = installed(tmp_path / "data", rule)
    with vast_letter(dovecot, "vast"):
        (row,) = engine(ours, collect, "vast")
    assert (row["error"], row["fetched"], row["deleted"]) == (None, 1, 1)
    for file in (ours.data / "mail").rglob("new/*"):
        file.unlink()
    name = f"a letter of {MB:,} MB, POP3, {place.distance}"
    Row(SECTION, f"{name}, memory that is added", "MB", "< 32 MB").tell({"ours": row["mb"]})
    Row(SECTION, name).tell({"ours": row["seconds"]})
