"""SIGKILL at any moment of a poll by IMAP: into a Maildir nothing is lost, twice or corrupt; into a mail server nothing is lost,
and what is twice is marked, at most one letter a kill."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import monotonic

import pytest

from tests.faults.campaign import SEED, Campaign, size
from tests.faults.conftest import NewCampaign
from tests.faults.engine import Engine, running_engine
from tests.faults.imap_world import ImapWorld, SinkArrivals, doubles, new_imap_world
from tests.faults.steps import KILL
from tests.faults.world import DOMAIN, Tally
from tests.servers.lmtp import MailSink, Taken, serving

AT_ONCE = 12
"""Letters that arrive between two polls: fewer than are worth a second session with the mail server."""
REST_AFTER = 25


@dataclass(frozen=True, slots=True)
class Handover:
    """An installation that hands its letters to the mail server `sink`."""

    engine: Engine
    sink: MailSink


@pytest.fixture(scope="module")
def handover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handover]:
    """Shared by the tests of one process; each world has a recipient of its own."""
    sink = MailSink()
    with serving(sink) as server:
        env = {"UTM_MAIL_DELIVERY": f"lmtp://127.0.0.1:{server.port}"}
        with running_engine(tmp_path_factory.mktemp("handover"), env) as engine:
            yield Handover(engine, sink)


def kill_again_and_again(world: ImapWorld, kills: int, processes: int = 1) -> int:
    """Poll and kill until so many polls were killed; how many it were, with the world at rest."""
    span, killed, rounds = 0.1, 0, 0
    while killed < kills:
        rounds += 1
        world.send(world.random.randint(0, AT_ONCE))
        with world.restless_user():
            began = monotonic()
            acts = [world.begin_poll(kill_after=world.random.uniform(0, span)) for _ in range(processes)]
            ended = [act.wait() for act in acts]
        killed += sum(end.killed for end in ended)
        span = 1.02 * span if any(end.killed for end in ended) else 0.9 * span + 0.1 * (monotonic() - began)
        if rounds % REST_AFTER == 0:
            world.come_to_rest()
    world.come_to_rest()
    return killed


def kill_into_maildir(engine: Engine, name: str, row: Campaign, kills: int, processes: int) -> None:
    with new_imap_world(engine, name, SEED, marks=processes == 1) as world:
        row.add(kill_again_and_again(world, kills, processes), world.count())


def kill_into_mail_server(handover: Handover, name: str, row: Campaign, kills: int) -> None:
    recipient = f"{name}@{DOMAIN}"
    with new_imap_world(handover.engine, name, SEED, partial(SinkArrivals, handover.sink)) as world:
        killed, tally = kill_again_and_again(world, kills), world.count()
        twice = doubles(handover.sink, recipient)
        row.faults, row.tally = killed, tally
        assert (tally.lost, tally.corrupt) == (0, 0), f"SEED={SEED}: {tally}"
        assert tally.twice == twice.total() <= killed, f"SEED={SEED}: {tally}, {twice}"
        assert twice.keys() <= world.marked(), f"SEED={SEED}: {twice}"


@pytest.mark.parametrize("processes", [1, 2])
def test_it_survives_kills(engine: Engine, campaign: NewCampaign, processes: int) -> None:
    row = campaign(f"SIGKILL at random times, IMAP, {processes} at once (sample)")
    kill_into_maildir(engine, f"imapsample{processes}", row, 12, processes)


def test_it_loses_nothing_to_kills_on_the_way_to_a_mail_server(handover: Handover, campaign: NewCampaign) -> None:
    row = campaign("SIGKILL at random times, IMAP to LMTP: doubles are marked (sample)")
    kill_into_mail_server(handover, "sample", row, 15)


class Deadly(list[Taken]):
    """Letters that the mail server has taken; with the one number `nth`, before the server can say so, the poll dies."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.nth = nth
        self.taken, self.killed = Event(), Event()

    def append(self, letter: Taken) -> None:
        """The server is answerable for the letter from now on."""
        super().append(letter)
        if len(self) == self.nth:
            self.taken.set()
            assert self.killed.wait(60)


@pytest.mark.parametrize("nth", [1, 3, 5])
def test_it_sends_and_marks_the_one_letter_whose_reply_was_lost(handover: Handover, nth: int) -> None:
    name = f"reply{nth}"
    taken = handover.sink.taken = Deadly(nth)
    with new_imap_world(handover.engine, name, SEED, partial(SinkArrivals, handover.sink)) as world:
        world.send(5)
        act = world.begin_poll()
        assert taken.taken.wait(60)
        act.signal(KILL)
        assert act.wait().killed
        taken.killed.set()

        world.come_to_rest()

        assert world.count() == Tally(letters=5, collected=5, twice=1)
        twice = doubles(handover.sink, f"{name}@{DOMAIN}")
        assert twice.total() == 1
        assert twice.keys() <= world.marked()
        assert len(world.marked()) == 5 - (nth - 1), "letters that were certainly taken are no possible doubles"
        first, again = (one.octets for one in taken if next(iter(twice)).encode() + b"\r\n" in one.octets)
        assert first == again


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("processes", [1, 2])
def test_it_survives_thousands_of_kills(engine: Engine, campaign: NewCampaign, processes: int, part: int) -> None:
    row = campaign(f"SIGKILL at random times, IMAP, {processes} at once")
    kill_into_maildir(engine, f"imap{processes}part{part}", row, size(400), processes)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
def test_it_loses_nothing_to_thousands_of_kills_on_the_way_to_a_mail_server(
    handover: Handover, campaign: NewCampaign, part: int
) -> None:
    row = campaign("SIGKILL at random times, IMAP to LMTP: doubles are marked")
    kill_into_mail_server(handover, f"part{part}", row, size(400))
