"""Sessions with an IMAP server, for tests."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from fetchrules.errors import FetchError
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.imap.session import ImapMailbox, open_imap
from fetchrules.remote.mailbox import Listed
from fetchrules.rule import Encryption, Protocol
from tests.servers.imap import PASSWORD, USER, Behaviour, Folder, ImapServer
from tests.servers.maildrop import letter

DEADLINES = Deadlines(connect=10, idle=10, session=30)

T = TypeVar("T")


def account(server: ImapServer, deadlines: Deadlines = DEADLINES) -> Account:
    terms = Account(Protocol.IMAP, server.host, server.port, USER, PASSWORD, encryption=Encryption.PLAINTEXT)
    return replace(terms, deadlines=deadlines)


@dataclass
class Visit:
    """An open mailbox, its server and folder."""

    mailbox: ImapMailbox
    server: ImapServer
    folder: Folder

    @property
    def letters(self) -> tuple[Listed, ...]:
        """As a listing would tell of them, without asking for one."""
        return tuple(Listed(one.uid, str(one.uid), len(one.data)) for one in self.folder.letters)

    def asked(self, command: str) -> list[str]:
        """What the commands that begin so went on with."""
        return [line.removeprefix(f"{command} ") for line in self.server.said if line.startswith(f"{command} ")]

    def numbers(self, command: str) -> list[str]:
        """The numbers or UIDs that these commands named."""
        return [line.split()[0] for line in self.asked(command)]


@contextmanager
def visit(
    behaviour: Behaviour | None = None, letters: int | tuple[bytes, ...] = 10, deadlines: Deadlines = DEADLINES
) -> Iterator[Visit]:
    """A session with a server that has so many letters, or these."""
    folder = Folder([letter(f"number {n}") for n in range(letters)] if isinstance(letters, int) else letters)
    with ImapServer(folder, behaviour) as server:
        mailbox = open_imap(account(server, deadlines))
        try:
            yield Visit(mailbox, server, folder)
        finally:
            mailbox.close()


def until_it_breaks(told: Iterable[T]) -> tuple[list[T], FetchError | None]:
    """What is told, and the error that ends it."""
    before: list[T] = []
    try:
        for one in told:
            before.append(one)  # noqa: PERF402
    except FetchError as error:
        return before, error
    return before, None
