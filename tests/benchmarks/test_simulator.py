"""The simulated mail servers say of their letters what is true."""

import asyncio

from tests.benchmarks.simulator import Servers

LETTERS = 12
"""Numbers of one digit and of two: the number is part of the letter."""


def test_it_says_the_sizes_that_its_letters_have() -> None:
    listed, total, *letters = asyncio.run(answers("LIST", "STAT", *(f"RETR {n + 1}" for n in range(LETTERS))))
    sizes = [len(letter) for letter in letters]
    assert listed == b"".join(b"%d %d\r\n" % (number, size) for number, size in enumerate(sizes, 1))
    assert total == b"+OK %d %d\r\n" % (LETTERS, sum(sizes))


async def answers(*commands: str) -> list[bytes]:
    """What a session with a mailbox of so many letters answers to each of them; of a multi-line answer what is between its ends."""
    async with await asyncio.start_server(Servers().session, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(
            "".join(f"{line}\r\n" for line in (f"USER u17-{LETTERS}-0", "PASS pw", *commands, "QUIT")).encode()
        )
        for _ in ("greeting", "USER", "PASS"):
            await reader.readline()
        found = [await answer(reader, command) for command in commands]
        await reader.read()
        writer.close()
        return found


async def answer(reader: asyncio.StreamReader, command: str) -> bytes:
    status = await reader.readline()
    if command == "STAT":
        return status
    return (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
