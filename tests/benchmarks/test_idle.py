"""200 empty mailboxes behind TLS and a round trip of 20 ms, polled by each collector: what a service does most of the day."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from tests.benchmarks.collectors import Product, run
from tests.benchmarks.delay import distant
from tests.benchmarks.scale import LIMIT_SECONDS, MAILBOXES
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installed import program

pytestmark = pytest.mark.benchmark

ROUND_TRIP = 20
SIDE_BY_SIDE = 64


def fetchmail(port: int, directory: Path, authority: Path) -> float:
    """All in one configuration: fetchmail polls one after the other."""
    program("fetchmail", "fetchmail")
    rc = directory / "fetchmailrc"
    rc.write_text(
        "".join(
            f"poll m{number} via localhost service {port} protocol pop3 user idle{number} password {PASSWORD} "
            f"ssl sslcertck sslcertfile {authority}\n"
            for number in range(MAILBOXES)
        )
    )
    rc.chmod(0o600)
    files = ["-f", str(rc), "--pidfile", str(directory / "pid"), "-i", str(directory / "ids")]
    return _timed(["fetchmail", "--silent", *files], 1)  # it says so when there was no mail


def mpop(port: int, directory: Path, authority: Path) -> float:
    """A process for each mailbox, so many side by side: the best that can be had of it."""
    program("mpop", "mpop")
    commands = []
    for number in range(MAILBOXES):
        rc = directory / f"mpoprc{number}"
        rc.write_text(
            f"account default\nhost localhost\nport {port}\nuser idle{number}\npassword {PASSWORD}\ntls on\ntls_starttls off\n"
            f"tls_trust_file {authority}\nauth user\ndelivery maildir {directory}\nuidls_file {rc}.uidls\n"
        )
        rc.chmod(0o600)
        commands.append(["mpop", "-C", str(rc), "-q"])
    before = perf_counter()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(_timed, commands))
    return perf_counter() - before


def test_it_polls_empty_mailboxes(dovecot: Dovecot, tmp_path: Path) -> None:
    authority = dovecot.certificates.cafile
    product = Product(tmp_path / "product")
    product.environment |= {"SSL_CERT_FILE": str(authority), "UTM_MAIL_CONCURRENCY": str(SIDE_BY_SIDE)}
    with distant(dovecot.pop3s, ROUND_TRIP, tmp_path) as port:
        product.add(
            [f"localhost:pop3 idle{n} {PASSWORD} idle{n}@mydomain.ru port {port} ssl" for n in range(MAILBOXES)]
        )
        rows = product.poll()  # the first time, servers are asked what they can do
        assert [row["error"] for row in rows] == [None] * MAILBOXES
        before = perf_counter()
        product.poll()
        ours = perf_counter() - before
        before = perf_counter()
        product.manage("rules", "list", "--json")
        start = perf_counter() - before
        seconds = {
            "this product, command": ours,
            "this product, without its start": ours - start,
            f"mpop × {SIDE_BY_SIDE}": mpop(port, tmp_path, authority),
            "fetchmail": fetchmail(port, tmp_path, authority),
        }
    print(f"\n{MAILBOXES} empty mailboxes, TLS, round trip {ROUND_TRIP} ms, {os.cpu_count()} cores")
    for name, taken in seconds.items():
        print(f"  {name:32}{taken:9.2f} s{MAILBOXES / taken:9.0f} polls a second")


def _timed(command: list[str], expected: int = 0) -> float:
    seconds, code = run(command, LIMIT_SECONDS)
    assert code == expected, f"{command[0]} ended with {code}"
    return seconds
