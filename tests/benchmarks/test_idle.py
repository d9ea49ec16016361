"""Mailboxes with nothing new behind TLS and a round trip of 20 ms, 64 at a time: what a service does most of the day."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time

import pytest

from fetchrules.remote.account import Account
from fetchrules.remote.protocols import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Encryption, Protocol
from tests.benchmarks.conftest import At
from tests.benchmarks.engine import engine, keep_due, pin, poll_all
from tests.benchmarks.place import Place
from tests.benchmarks.report import Row
from tests.benchmarks.scale import MAILBOXES
from tests.interop.dovecot import PASSWORD
from tests.interop.installation import Installation
from tests.interop.redis_server import Redis

pytestmark = pytest.mark.benchmark

ROUND_TRIP = 20
SIDE_BY_SIDE = 64
ROUNDS = 5
WARM_UP = 2
"""Rounds that do not count: in the first, servers are asked what they can do."""
STARTING_SECONDS = 13
WATCHED_SECONDS = 15
"""Of workers, after those in which they start."""
SECTION = "Polls that find nothing"


def installed(data: Path, place: Place, protocol: Protocol, env: dict[str, str] | None = None) -> Installation:
    """One with all mailboxes."""
    data.mkdir()
    common = {"UTM_MAIL_INSECURE_HTTP": "1", "UTM_MAIL_CONCURRENCY": str(SIDE_BY_SIDE)}
    ours, port = Installation(data, common | (env or {})), place.ports[f"{protocol}s"]
    ours.prepare()
    ours.paste(
        "".join(
            f"{host_of(place, n)}:{protocol} idle{n} {PASSWORD} idle{n}@mydomain.ru keep ssl port {port}\n"
            for n in range(MAILBOXES)
        )
    )
    engine(ours, pin, place.dovecot.certificates.good.sha256)
    return ours


def host_of(place: Place, number: int) -> str:
    return place.hosts[number % len(place.hosts)]


def client(place: Place, protocol: Protocol) -> tuple[float, float]:
    """Our client alone: seconds of a round, and those of CPU."""
    pinned = (place.dovecot.certificates.good.sha256,)

    def look(number: int) -> None:
        terms = Account(
            protocol, host_of(place, number), place.ports[f"{protocol}s"], f"idle{number}", PASSWORD,
            encryption=Encryption.SSL, fingerprints=pinned,
        )  # fmt: skip
        mailbox = open_mailbox(terms, Transcript())
        mailbox.listing()
        assert mailbox.quit()

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        rounds = [_round(pool, look) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    return min(wall for wall, _ in rounds), min(cpu for _, cpu in rounds)


def _round(pool: ThreadPoolExecutor, look: Callable[[int], None]) -> tuple[float, float]:
    wall, processor = perf_counter(), process_time()
    list(pool.map(look, range(MAILBOXES)))
    return perf_counter() - wall, process_time() - processor


@pytest.mark.parametrize("protocol", Protocol)
def test_it_polls_from_one_warm_process(at: At, tmp_path: Path, protocol: Protocol) -> None:
    place = at(ROUND_TRIP)
    ours = installed(tmp_path / "data", place, protocol)
    rounds = engine(ours, poll_all, SIDE_BY_SIDE, WARM_UP + ROUNDS)[WARM_UP:]
    tell(place, protocol, "", min(one["seconds"] for one in rounds), min(one["cpu"] for one in rounds))
    tell(place, protocol, "the client alone, ", *client(place, protocol))


def tell(place: Place, protocol: Protocol, who: str, seconds: float, processor: float) -> None:
    rate(place, protocol, who).tell({"ours": MAILBOXES / seconds})
    goal = "≤ 2.5 ms" if protocol is Protocol.POP3 and not who else ""
    Row(SECTION, f"{_name(place, protocol)}, {who}CPU of a poll", "ms", goal).tell(
        {"ours": 1000 * processor / MAILBOXES}
    )


def rate(place: Place, protocol: Protocol, who: str) -> Row:
    goal = "≥ 250 /s" if protocol is Protocol.POP3 and not who else ""
    return Row(SECTION, f"{_name(place, protocol)}, {who}polls a second", "/s", goal)


def _name(place: Place, protocol: Protocol) -> str:
    return f"{MAILBOXES} mailboxes, {protocol.upper()} with TLS, {place.distance}"


@pytest.mark.parametrize("workers", [1, 2])
def test_it_polls_through_workers(at: At, tmp_path: Path, redis_server: Redis, workers: int) -> None:
    place, env = at(ROUND_TRIP), {"UTM_MAIL_REDIS_URL": redis_server.new_url()}
    ours = installed(tmp_path / "data", place, Protocol.POP3, env)
    with ExitStack() as stack:
        names = [("worker", "-n", f"w{number}@bench") for number in range(workers)]
        processes = [stack.enter_context(ours.celery(*arguments)) for arguments in (*names, ("beat",))]
        (told,) = engine(ours, keep_due, STARTING_SECONDS, WATCHED_SECONDS)
        for one in processes:
            one.terminate()
        for one in processes:
            one.wait(60)
    assert not told["failed"]
    name = f"{_name(place, Protocol.POP3)}, through Celery and Redis, workers: {workers}, polls a second"
    Row(SECTION, name, "/s", "≥ 200 /s" if workers == 2 else "").tell({"ours": told["rate"]})
