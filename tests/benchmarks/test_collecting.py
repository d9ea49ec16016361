"""A mailbox collected and emptied by each collector, over several distances.

The times are told, never judged: machines differ, and so do their moods. What is judged is that every letter of ours arrived; a
peer that did not bring them all, or not in time, is told with the number of those that it brought.

All read the same letters from the same Dovecot, in plain text, and begin with a mailbox that it has not looked at before. Ours,
mpop and getmail write Maildirs; fetchmail hands over by LMTP, as UTM had it. Ours and mpop take turns, and the best of three is
told: of ours without the start of Python, of the peers with theirs.
"""

from pathlib import Path

import pytest

from fetchrules.rule import Protocol
from tests.benchmarks.collectors import PEERS
from tests.benchmarks.conftest import At
from tests.benchmarks.race import Race, mix, usual
from tests.benchmarks.report import Row, Value
from tests.benchmarks.scale import LETTERS, MB
from tests.interop.dovecot import Dovecot

pytestmark = pytest.mark.benchmark

SECTION = "Collecting"
SLOW = ("getmail", "fetchmail")
TIMES = 3
PATIENCE = 600
"""Seconds that mpop gets for a large mailbox."""


def in_turn(race: Race) -> tuple[dict[str, Value], float]:
    """The best of ours and of mpop, and the least seconds of CPU of ours."""
    turns = [(race.ours(), race.peer("mpop", PATIENCE)) for _ in range(TIMES)]
    peer = [mpop for _, mpop in turns]
    best = min((one for one in peer if isinstance(one, float)), default=peer[0])
    return {"ours": min(wall for (wall, _), _ in turns), "mpop": best}, min(cpu for (_, cpu), _ in turns)


@pytest.mark.parametrize(("milliseconds", "goal"), [(0, "1"), (20, "0.55"), (100, "0.4")])
def test_it_collects_by_pop3(dovecot: Dovecot, at: At, tmp_path: Path, milliseconds: int, goal: str) -> None:
    place = at(milliseconds)
    race = Race(place, dovecot, tmp_path / "data", Protocol.POP3, usual(LETTERS))
    row = Row(SECTION, f"{LETTERS:,} letters of 5 KB, POP3, {place.distance}", goal=f"ratio ≤ {goal}")
    cells, cpu = in_turn(race)
    row.tell(cells)
    row.tell({PEERS[name].package: race.peer(name) for name in SLOW})
    if not milliseconds:
        Row(SECTION, f"CPU of one of them, {place.distance}", "ms", "≤ 0.25 ms").tell({"ours": 1000 * cpu / LETTERS})


def test_it_collects_by_imap(dovecot: Dovecot, at: At, tmp_path: Path) -> None:
    place = at(100)
    race = Race(place, dovecot, tmp_path / "data", Protocol.IMAP, usual(LETTERS))
    row = Row(SECTION, f"{LETTERS:,} letters of 5 KB, IMAP, {place.distance}", goal="≤ 1.9 s")
    row.tell({"ours": min(race.ours()[0] for _ in range(TIMES))})
    Row(SECTION, f"the same, the client alone, {place.distance}").tell(
        {"ours": min(race.client() for _ in range(TIMES))}
    )
    row.tell({PEERS[name].package: race.peer(name) for name in SLOW})


def test_it_collects_a_large_mailbox(dovecot: Dovecot, at: At, tmp_path: Path) -> None:
    race = Race(at(0), dovecot, tmp_path / "data", Protocol.POP3, usual(10 * LETTERS))
    row = Row(SECTION, f"{10 * LETTERS:,} letters of 5 KB, POP3, loopback", goal="ratio ≤ 1")
    row.tell(in_turn(race)[0])


def test_it_collects_letters_of_all_sizes(dovecot: Dovecot, at: At, tmp_path: Path) -> None:
    letters = list(mix(MB * 41_000))
    race = Race(at(0), dovecot, tmp_path / "data", Protocol.POP3, letters)
    name = f"{len(letters):,} letters, {sum(map(len, letters)) // 1_000_000} MB, some of 3 MB, POP3, loopback"
    Row(SECTION, name, goal="ratio ≤ 1").tell(in_turn(race)[0])
