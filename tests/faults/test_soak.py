"""One process works for a long time, on good servers and bad ones: it does not grow, and leaves nothing lying about."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic

import pytest

from tests.faults.campaign import SEED, SOAK
from tests.faults.conftest import NewCampaign
from tests.faults.engine import ROOT, Engine, running_engine
from tests.faults.test_random_stories import HOSTILE
from tests.faults.world import Tally, World, new_world
from tests.interop.process import end, free_ports, running
from tests.servers.pop3 import Behaviour
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("soak")]

WORLDS = 24
SAMPLE_EVERY = 1.0
ROOM_KIB = 4 * 1024
"""Growth that is no growth: what a garbage collector and a cache may differ by between two quarters."""
ROOM_DESCRIPTORS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    kib: int
    descriptors: int
    threads: int
    staged: int


def look_at(pid: int, worlds: list[World]) -> Sample:
    """How large the process is, and what waits beside the mailboxes."""
    status = Path(f"/proc/{pid}/status").read_text()
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    staged = sum(len(world.staged()) for world in worlds)
    return Sample(int(told["VmRSS"].split()[0]), descriptors, int(told["Threads"]), staged)


def work(engine: Engine, worlds: list[World], pid: int, seconds: float, random: Random) -> list[Sample]:
    """Letters arrive, servers change their manners, and every rule is due again and again."""
    samples: list[Sample] = []
    until_when = monotonic() + seconds
    while monotonic() < until_when:
        for world in random.sample(worlds, 6):
            world.send(random.randint(0, 5))
            world.server.behaviour = random.choice(HOSTILE) if random.random() < 0.3 else Behaviour()
        engine.begin("everything_is_due").doze(SAMPLE_EVERY)
        for world in worlds:
            world.user_takes()
        samples.append(look_at(pid, worlds))
    return samples


def test_it_does_not_grow(tmp_path: Path, campaign: NewCampaign) -> None:
    row = campaign(f"soak, {SOAK:.0f} seconds")
    (port,) = free_ports(1)
    with ExitStack() as stack, running_engine(tmp_path / "data") as engine:
        worlds = [stack.enter_context(new_world(engine, f"soak-{number}", SEED, timeout=2)) for number in range(WORLDS)]
        command = [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)]
        with running(command, ports=[port], log=tmp_path / "up.log", env=engine.env) as up:
            work(engine, worlds, up.pid, 10, Random(SEED))
            samples = work(engine, worlds, up.pid, SOAK, Random(SEED))
            for world in worlds:
                world.server.behaviour = Behaviour()
            until(lambda: all_collected(engine, worlds), 120)
            end(up)
        tally = come_to_an_end(worlds)
        row.add(len(samples), tally)
        _, second, third, last = quarters = [quarter(samples, number) for number in range(4)]
        print(*quarters, sep="\n")
        # In its first half it grows into its work: every thread has met every kind of server by then.
        assert last.kib < third.kib + ROOM_KIB
        assert last.descriptors < second.descriptors + ROOM_DESCRIPTORS
        assert last.threads <= second.threads + 2
        assert [world.staged() for world in worlds] == [[]] * WORLDS


def all_collected(engine: Engine, worlds: list[World]) -> bool:
    """Whether no letter is left on a server; if one is, a day passes, and every rule is due again."""
    waiting = [world for world in worlds if world.maildrop.letters]
    for world in waiting:
        engine.do("days_pass", rule=world.rule, days=1.1)
    engine.begin("everything_is_due").doze(SAMPLE_EVERY)
    return not waiting


def come_to_an_end(worlds: list[World]) -> Tally:
    """The count, once every letter is in."""
    for world in worlds:
        world.poll_until_quiet()
    tally = sum((world.count() for world in worlds), Tally())
    assert tally.collected == tally.letters
    return tally


def quarter(samples: list[Sample], number: int) -> Sample:
    """The median of one quarter, counted from 0."""
    part = samples[len(samples) * number // 4 : len(samples) * (number + 1) // 4]
    return Sample(
        kib=int(median(sample.kib for sample in part)),
        descriptors=int(median(sample.descriptors for sample in part)),
        threads=int(median(sample.threads for sample in part)),
        staged=int(median(sample.staged for sample in part)),
    )
