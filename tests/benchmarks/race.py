"""One mailbox, and everybody who collects it."""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from shutil import which
from time import perf_counter

from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import Complete
from fetchrules.remote.protocols import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.rule import Encryption, Protocol
from tests.benchmarks.collectors import PEERS, Job, finished, run
from tests.benchmarks.engine import collect, engine
from tests.benchmarks.place import Place
from tests.benchmarks.report import Value
from tests.benchmarks.scale import LIMIT_SECONDS
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.interop.installation import Installation

BODY = b"0123456789abcdef" * 4 + b"\r\n"

_users = count()


def letter(number: int, octets: int) -> bytes:
    head = f"From: a@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n"
    return head.encode() + BODY * max(1, octets // len(BODY))


def usual(letters: int) -> Iterator[bytes]:
    return (letter(number, 5000) for number in range(letters))


def mix(octets_at_least: int) -> Iterator[bytes]:
    """Half of them larger than 12 KB, some of 3 MB."""
    random, octets, number = Random(1), 0, 0
    while octets < octets_at_least:
        size = int(random.lognormvariate(9.4, 1.1)) if number % 120 else 3_000_000
        octets += size
        yield letter(number, size)
        number += 1


class Race:
    """Everybody starts from a mailbox of their own, full of the same letters: links, so that nothing is written while they work."""

    def __init__(self, place: Place, local: Dovecot, data: Path, protocol: Protocol, letters: Iterable[bytes]) -> None:
        """`local` takes what comes by LMTP."""
        self.protocol = protocol
        self._place = place
        self._local = local
        model = f"model{next(_users)}"
        place.dovecot.put(model, letters)
        self._letters = list((place.dovecot.maildir(model) / "new").iterdir())
        data.mkdir()
        self._ours = Installation(data, {"UTM_MAIL_INSECURE_HTTP": "1"})
        self._ours.prepare()

    def ours(self) -> tuple[float, float]:
        """Seconds, and those of CPU."""
        user = self._mailbox("ours")
        self._ours.paste(
            f"{self._place.host}:{self.protocol} {user} {PASSWORD} {user}@mydomain.ru plaintext port {self._port}\n"
        )
        (row,) = engine(self._ours, collect, user)
        assert (row["error"], row["fetched"], row["deleted"]) == (None, len(self._letters), len(self._letters))
        return row["seconds"], row["cpu"]

    def client(self) -> float:
        """Our client alone; the letters are thrown away, and stay."""
        terms = Account(
            self.protocol, self._place.host, self._port, self._mailbox("client"), PASSWORD,
            encryption=Encryption.PLAINTEXT,
        )  # fmt: skip
        before = perf_counter()
        mailbox = open_mailbox(terms, Transcript())
        whole = sum(isinstance(event, Complete) for event in mailbox.retrieve(mailbox.listing().letters))
        assert mailbox.quit()
        assert whole == len(self._letters)
        return perf_counter() - before

    def peer(self, name: str, limit: float = LIMIT_SECONDS) -> Value:
        """Another collector."""
        peer = PEERS[name]
        if not which(name):
            return f"not installed (Debian: {peer.package})"
        user = self._mailbox(name)
        recipient, mail = f"{user}@local.example", self._place.dovecot.mail
        maildir = mail / user / "copy"
        job = Job(
            user, self._place.host, self._port, maildir, recipient, self._local.lmtp, mail, self.protocol
        )  # fmt: skip
        seconds, _ = run(peer.command(job), limit)
        new = (self._local.maildir(recipient) if peer.by_lmtp else maildir) / "new"
        return finished(seconds, len(list(new.iterdir())) if new.is_dir() else 0, len(self._letters))

    @property
    def _port(self) -> int:
        return self._place.ports[self.protocol]

    def _mailbox(self, name: str) -> str:
        user, dovecot = f"{name}{next(_users)}", self._place.dovecot
        dovecot.put(user, [])
        for file in self._letters:
            (dovecot.maildir(user) / "new" / file.name).hardlink_to(file)
        return user
