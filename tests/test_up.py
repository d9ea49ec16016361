"""`manage.py up`: the whole product in one process, from its first start to the end of it."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event, Thread, Timer
from urllib.request import urlopen

import pytest

from tests.interop.installation import Installation, Panel
from tests.servers.faults import Alter, Drip, Fault
from tests.servers.loopback import LoopbackServer, Peer
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, Behaviour, Mailbox, Pop3Server, Step
from tests.waiting import until
from utm_mail.parts import Shutdown, run_together

ALIVE = "from fetchrules.models import Heartbeat as H; print(*sorted(H.objects.values_list('part', flat=True)))"
LEFT = """
from django.utils.timezone import now
from fetchrules.models import FetchRule, Run
print(*Run.objects.values_list("state", flat=True))
print(*(said for rule in FetchRule.objects.all() for said in (rule.failures, rule.next_poll_at <= now())))
"""
KILLED = "from fetchrules.models import Heartbeat as H; H.objects.create(part='worker', host='here:1', slots=64)"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("up"))
    installation.prepare()
    return installation


@pytest.fixture(scope="module")
def panel(installation: Installation) -> Iterator[Panel]:
    with installation.up() as panel:
        yield panel


def test_it_serves_the_panel(panel: Panel) -> None:
    with urlopen(panel.address, timeout=20) as page:
        assert b"csrfmiddlewaretoken" in page.read()


def test_it_serves_static_files(panel: Panel) -> None:
    with urlopen(f"{panel.address}static/css/tokens.css", timeout=20) as style:
        assert style.headers["Content-Type"].startswith("text/css")


def test_it_shows_signs_of_life(installation: Installation, panel: Panel) -> None:
    until(lambda: installation.manage("shell", "-v0", "-c", ALIVE).stdout == "beat worker\n")


def test_it_will_not_run_twice_on_one_data_directory(installation: Installation, panel: Panel) -> None:
    refused = installation.manage("up", "--port", "0", expect=1)
    assert str(installation.data) in refused.stderr


def test_it_says_that_the_port_is_in_use(panel: Panel, tmp_path: Path) -> None:
    port = panel.address.rpartition(":")[2].strip("/")
    assert port in Installation(tmp_path).manage("up", "--port", port, expect=1).stderr


def test_it_ends_at_once_on_a_second_signal(tmp_path: Path) -> None:
    reached = Event()

    def fall_silent(peer: Peer) -> None:
        reached.set()
        peer.stall()

    installation = Installation(tmp_path)
    installation.prepare()
    with LoopbackServer(fall_silent) as silent:
        installation.paste(f"127.0.0.1:pop3 petrov petrovpasswd i.petrov@mydomain.ru port {silent.port}\n")
        with installation.up() as panel:
            assert reached.wait(30)
            panel.process.send_signal(signal.SIGTERM)
            until(lambda: "Завершение" in panel.log.read_text())
            assert panel.stop(signal.SIGTERM) == -signal.SIGTERM


def test_it_waits_for_no_silent_server_when_it_is_to_end(tmp_path: Path) -> None:
    """One that has not greeted, and one that was asked for its list of letters: no poll is left running, and none has failed."""
    reached = Barrier(3)

    def fall_silent(peer: Peer) -> None:
        reached.wait(30)
        peer.stall()

    def think(answer: bytes) -> bytes:
        reached.wait(30)
        return b""

    slow = Behaviour(faults=(Fault(Step.UIDL, Alter(think)),))
    installation = Installation(tmp_path)
    installation.prepare()
    with LoopbackServer(fall_silent) as silent, Pop3Server({"petrov": Mailbox(PASSWORD, Maildrop())}, slow) as thinking:
        line = f"127.0.0.1:pop3 {{0}} {PASSWORD} {{0}}@mydomain.ru port {{1}}\n"
        installation.paste(line.format("ivanov", silent.port) + line.format("petrov", thinking.port))
        with installation.up() as panel:
            reached.wait(30)
            assert panel.stop(signal.SIGTERM) == 0
            assert "Некоторые опросы не успели закончиться" not in panel.log.read_text()
    assert installation.manage("shell", "-v0", "-c", LEFT).stdout == "abandoned abandoned\n0 True 0 True\n"


def test_it_collects_elsewhere_while_a_slow_server_drips(tmp_path: Path) -> None:
    """Of eight polls at a time two are the slow server's, whatever a process said that is no more."""
    slow = {f"petrov{number}": Mailbox(PASSWORD, Maildrop()) for number in range(20)}
    quick = {f"ivanov{number}": Mailbox(PASSWORD, Maildrop([letter(f"letter {number}")])) for number in range(20)}
    drip = Behaviour(faults=(Fault(Step.GREETING, Drip(0.5)),))
    installation = Installation(tmp_path, {"UTM_MAIL_CONCURRENCY": "8"})
    installation.prepare()
    with Pop3Server(slow, drip) as dripping, Pop3Server(quick) as serving:
        for server, host in ((dripping, "localhost"), (serving, "127.0.0.1")):
            line = f"{host}:pop3 {{0}} {PASSWORD} {{0}}@mydomain.ru port {server.port}\n"
            installation.paste("".join(line.format(user) for user in server.mailboxes))
        installation.manage("shell", "-v0", "-c", KILLED)
        with installation.up():
            until(lambda: not any(mailbox.maildrop.letters for mailbox in quick.values()), 60)
        assert 1 <= dripping.connections <= 2
    assert len(list(tmp_path.glob("mail/mydomain.ru/*/new/*"))) == len(quick)


@dataclass
class Patient:
    """A part that runs until it is told to stop; with `deaf`, not even then."""

    name: str = "patient"
    deaf: bool = False
    told: Event = field(default_factory=Event)

    def run(self) -> None:
        self.told.wait(60)

    def stop(self) -> None:
        if not self.deaf:
            self.told.set()


@dataclass
class Falling:
    """A part that ends by itself, until it is run for the nth time."""

    name: str = "falling"
    until_run: int = 1000
    then: Event = field(default_factory=Event)
    told: Event = field(default_factory=Event)
    runs: int = 0

    def run(self) -> None:
        self.runs += 1
        if self.runs == self.until_run:
            self.then.set()
            self.told.wait(60)

    def stop(self) -> None:
        self.told.set()


def nothing(*_arguments: object) -> None: ...


def test_it_starts_a_part_again_that_falls_while_the_others_stay() -> None:
    patient, fallen = Patient(), Event()
    falling = Falling(until_run=3, then=fallen)

    def tell_to_end() -> None:
        fallen.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=tell_to_end).start()
    told: list[str] = []
    ending = run_together([patient, falling], nothing, told.append, pauses=[0.0] * 5)
    assert (ending, told) == (Shutdown(fallen=None, stuck=()), ["falling"] * 2)


def test_it_ends_all_parts_when_one_falls_too_often() -> None:
    patient, falling, told = Patient(), Falling(), list[str]()
    ending = run_together([patient, falling], nothing, told.append, pauses=[0.0] * 5)
    assert (ending, falling.runs, len(told)) == (Shutdown(fallen="falling", stuck=()), 6, 5)
    assert patient.told.is_set()


def test_it_ends_all_parts_on_a_signal() -> None:
    ending = Event()
    Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert run_together([Patient(), Patient("other")], ending.set, nothing) == Shutdown(fallen=None, stuck=())
    assert ending.is_set()


def test_it_names_the_parts_that_do_not_end() -> None:
    deaf = Patient("deaf", deaf=True)
    ending = run_together([deaf, Falling()], nothing, nothing, grace=0.1, pauses=())
    assert ending == Shutdown(fallen="falling", stuck=("deaf",))
    deaf.told.set()
