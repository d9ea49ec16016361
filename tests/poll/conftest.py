"""A remote mailbox on a scriptable server, a rule for it, and the local mailbox that the rule fills."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Letter, Run
from fetchrules.poll import recovery
from fetchrules.poll.progress import Limits
from fetchrules.poll.run import Result, poll
from fetchrules.remote.memory import ServerMemory
from fetchrules.remote.stopping import STOPPING
from tests.servers import imap
from tests.servers.maildrop import Maildrop, StoredLetter
from tests.servers.pop3 import Behaviour, Mailbox, Pop3Server

MakeRule = Callable[..., FetchRule]
NewScene = Callable[..., "Scene"]
NewImapScene = Callable[..., "ImapScene"]


def letter(name: str, filling: str = "text", size: int = 0) -> StoredLetter:
    """A letter whose unique-id and subject are `name`; `size` in octets, if it is to have a certain one."""
    head = (
        f"From: sender@example.org\r\nMessage-ID: <{name}@example.org>\r\nSubject: {name}\r\n\r\n{filling}\r\n".encode()
    )
    return StoredLetter(name, head + b"x" * (size - len(head) - 2) + b"\r\n" if size else head)


def adopt(recipient: str) -> int:
    """Accept what stands in the place of the recipient's mailbox; how many letters are new again by that."""
    lost = recovery.lost_by_replacing(recipient)
    return 0 if lost is None else recovery.accept(recipient, lost)


@dataclass
class Reader:
    """A rule, and the local mailbox that it fills."""

    rule: FetchRule
    mailbox: Path
    limits: Limits = field(default_factory=Limits, kw_only=True)
    memory: ServerMemory = field(default_factory=ServerMemory, kw_only=True)
    """No test knows a server from the test before, which may have had the same port."""

    def limit(self, **limits: Any) -> None:
        """From now on the polls have these limits."""
        self.limits = replace(self.limits, **limits)

    def poll(self, **columns: Any) -> Result:
        """Edit the rule, if `columns` say so, and poll it."""
        FetchRule.objects.filter(pk=self.rule.pk).update(**columns)
        self.rule.refresh_from_db()
        (run_id,) = runs.claim([self.rule], timezone.now(), Run.Cause.COMMAND)
        result = poll(run_id, limits=self.limits, memory=self.memory)
        assert result is not None
        return result

    def poll_fine(self, **columns: Any) -> runs.Counts:
        """A poll that must not fail; what it counted."""
        result = self.poll(**columns)
        assert result.error is None
        return result.counts

    @property
    def delivered(self) -> list[str]:
        """The subjects of what lies in new/, sorted."""
        texts = [path.read_bytes() for path in (self.mailbox / "new").glob("*")]
        return sorted(text.split(b"Subject: ")[1].split(b"\n")[0].decode() for text in texts)

    @property
    def staged(self) -> set[str]:
        """The files that wait in the Maildir to be delivered."""
        return {path.name for path in (self.mailbox / "tmp" / "utm-mail").iterdir()} - {"marker", "seal"}

    @property
    def states(self) -> dict[str, str]:
        """State by unique-id, of what the ledger holds."""
        return dict(Letter.objects.values_list("uid", "state"))


@dataclass
class Scene(Reader):
    """Everything that one poll touches. The server's behaviour can be changed between polls."""

    server: Pop3Server
    maildrop: Maildrop

    def arrive(self, *letters: StoredLetter | str) -> None:
        """Letters arrive on the server."""
        for one in letters:
            self.maildrop.add(letter(one) if isinstance(one, str) else one)

    def behave(self, behaviour: Behaviour | None = None) -> None:
        """Let the server be another from now on, by default a good one."""
        self.server.behaviour = behaviour or Behaviour()

    def replace(self, *letters: StoredLetter) -> None:
        """From now on the server has these letters, whatever it had."""
        self.maildrop.commit(self.maildrop.letters)
        self.arrive(*letters)


@dataclass
class ImapScene(Reader):
    """The same for a folder of an IMAP server."""

    server: imap.ImapServer
    folder: imap.Folder

    def arrive(self, *names: str, flags: tuple[str, ...] = (), size: int = 0) -> list[int]:
        """Letters with these subjects arrive; their UIDs."""
        return [self.folder.add(letter(name, size=size).data, *flags) for name in names]

    def behave(self, behaviour: imap.Behaviour | None = None) -> None:
        """Let the server be another from now on, by default a good one."""
        self.server.behaviour = behaviour or imap.Behaviour()

    def renumber(self) -> None:
        """The folder gets another UIDVALIDITY, and its letters new UIDs."""
        self.folder.renumber(first=101)


@pytest.fixture
def limits() -> Limits:
    """Those of the polls of a scene, to begin with."""
    return Limits()


@pytest.fixture
def new_scene(make_rule: MakeRule, tmp_path: Path, settings: Settings, limits: Limits) -> Iterator[NewScene]:
    """Make a scene; the columns are the rule's, which is in a hurry by default."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{{domain}}/{{local}}"
    stack = ExitStack()

    def make(behaviour: Behaviour | None = None, **columns: Any) -> Scene:
        maildrop = Maildrop()
        server = stack.enter_context(Pop3Server({"petrov": Mailbox("petrovpasswd", maildrop)}, behaviour))
        place = {"server": "127.0.0.1", "port": server.port, "user": "petrov", "encryption": "plaintext", "timeout": 1}
        rule = make_rule(**{**place, **columns})
        local, _, domain = rule.recipient.partition("@")
        return Scene(rule, tmp_path / "mail" / domain / local, server, maildrop, limits=limits)

    with stack:
        yield make


@pytest.fixture
def scene(new_scene: NewScene) -> Scene:
    """The plainest of rules, on a server without fault."""
    return new_scene()


@pytest.fixture
def new_imap_scene(make_rule: MakeRule, tmp_path: Path, settings: Settings, limits: Limits) -> Iterator[NewImapScene]:
    """Make a scene of an IMAP folder; the columns are the rule's."""
    settings.UTM_MAIL_DELIVERY = f"maildir:{tmp_path}/mail/{{domain}}/{{local}}"
    stack = ExitStack()

    def make(behaviour: imap.Behaviour | None = None, **columns: Any) -> ImapScene:
        folder = imap.Folder()
        server = stack.enter_context(imap.ImapServer(folder, behaviour))
        place = {"server": "127.0.0.1", "port": server.port, "user": imap.USER, "encryption": "plaintext", "timeout": 1}
        rule = make_rule(**{"protocol": "imap", **place, **columns})
        local, _, domain = rule.recipient.partition("@")
        return ImapScene(rule, tmp_path / "mail" / domain / local, server, folder, limits=limits)

    with stack:
        yield make


@pytest.fixture
def stopping() -> Iterator[None]:
    """This process is told to end; afterwards it goes on."""
    STOPPING.set()
    yield
    STOPPING.clear()
