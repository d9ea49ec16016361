"""Webhooks and mail servers on loopback that answer as a test says, and rules that fail."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from fetchrules.models import FetchRule
from tests.certificates import Certificates, make_certificates
from tests.servers.loopback import LoopbackServer, Peer

NOW = timezone.now()

MakeRule = Callable[..., FetchRule]
Answer = Callable[[Peer], None]


def no_content(peer: Peer) -> None:
    """As a webhook that is content."""
    peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@dataclass
class Hook:
    """A webhook: what it answers, and what was posted to it."""

    answer: Answer = no_content
    url: str = ""
    heads: list[list[str]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)

    def serve(self, peer: Peer) -> None:
        head = []
        while line := peer.read_line():
            head.append(line.decode("ascii"))
        size = next(int(line.split(":")[1]) for line in head if line.startswith("Content-Length:"))
        self.heads.append(head)
        self.received.append(json.loads(peer.read(size)))
        self.answer(peer)

    @property
    def texts(self) -> list[str]:
        """The first lines of what was told."""
        return [str(posted["text"]).partition("\n")[0] for posted in self.received]


@pytest.fixture
def hook() -> Iterator[Hook]:
    """One that is content until the test says otherwise."""
    made = Hook()
    with LoopbackServer(made.serve) as server:
        made.url = f"http://127.0.0.1:{server.port}/hook?token=secret"
        yield made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(Path(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def failing(make_rule: MakeRule) -> MakeRule:
    """Make a rule that gives cause for an incident."""
    return lambda **columns: make_rule(failures=3, last_error="login_refused", last_success_at=NOW, **columns)
