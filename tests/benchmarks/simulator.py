"""Mail servers with thousands of accounts in one process: POP3 in plain text on many addresses of 127.0.0.0/8.

    python -m tests.benchmarks.simulator PORT LOG

The address 127.1.X.Y serves the accounts of host number 256·X + Y; an account's name says how many letters it begins with and how
often one comes: `u17-50000-0` has 50,000 and gets none, `u18-3-600` has three and gets one every 600 seconds. On 127.2.0.1 nobody
answers. At its end (SIGTERM) it writes to LOG, a line each, when which account logged in: seconds since 1970, name.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from tests.interop.process import free_ports, running

BEGAN = time.time()
LETTER = (
    "From: sender@example.org\r\nTo: somebody@example.org\r\nSubject: {0}\r\nMessage-ID: <{0}@example.org>\r\n"
    "Date: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n"
    + 60
    * "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do.\r\n"
)
NAMELESS = len(LETTER.format(""))
"""Octets of a letter without its name, which stands in it twice."""
DEAD = "127.2.0.1"


class Account:
    """How many letters it has now; their names are their numbers."""

    def __init__(self, name: str) -> None:
        self.name = name
        _, begins, every = name.split("-")
        self.begins, self.every = int(begins), int(every)

    @property
    def letters(self) -> int:
        came = (
            int((time.time() - BEGAN + crc32(self.name.encode()) % max(self.every, 1)) // self.every)
            if self.every
            else 0
        )
        return self.begins + came

    def letter(self, number: int) -> bytes:
        return LETTER.format(f"{self.name}.{number}").encode()

    def sizes(self, letters: int) -> list[int]:
        """The octets of the first `letters`."""
        return [NAMELESS + 2 * len(f"{self.name}.{number}") for number in range(1, letters + 1)]


class Servers:
    def __init__(self) -> None:
        self.logins: list[tuple[float, str]] = []

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if writer.get_extra_info("sockname")[0] == DEAD:
                await reader.read()
                return
            writer.write(b"+OK ready\r\n")
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user, account, letters = "", Account("x-0-0"), 0
        while line := await reader.readline():
            verb, _, argument = line.decode().strip().partition(" ")
            match verb.upper():
                case "CAPA":
                    answer = b"+OK\r\nUIDL\r\nUSER\r\nPIPELINING\r\n.\r\n"
                case "USER":
                    user, answer = argument, b"+OK\r\n"
                case "PASS":
                    account, answer = Account(user), b"+OK\r\n"
                    letters = account.letters
                    self.logins.append((time.time(), user))
                case "STAT":
                    answer = b"+OK %d %d\r\n" % (letters, sum(account.sizes(letters)))
                case "UIDL":
                    rows = "".join(f"{number} {user}.{number}\r\n" for number in range(1, letters + 1))
                    answer = f"+OK\r\n{rows}.\r\n".encode()
                case "LIST":
                    rows = "".join(f"{number} {size}\r\n" for number, size in enumerate(account.sizes(letters), 1))
                    answer = f"+OK\r\n{rows}.\r\n".encode()
                case "RETR":
                    answer = b"+OK\r\n" + account.letter(int(argument)) + b".\r\n"
                case "QUIT":
                    writer.write(b"+OK\r\n")
                    return
                case _:
                    answer = b"-ERR\r\n"
            writer.write(answer)
            await writer.drain()


@contextmanager
def simulator(directory: Path) -> Iterator[tuple[int, Path]]:
    """Its port, and its log."""
    (port,) = free_ports(1)
    log = directory / "logins"
    command = [sys.executable, "-m", "tests.benchmarks.simulator", str(port), str(log)]
    with running(command, ports=[port], log=directory / "simulator.log"):
        yield port, log


async def serve(port: int, log: Path) -> None:
    servers, ended = Servers(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with await asyncio.start_server(servers.session, "0.0.0.0", port, backlog=4096, limit=2**20):
        await ended.wait()
    log.write_text("".join(f"{moment:.3f} {user}\n" for moment, user in servers.logins))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
