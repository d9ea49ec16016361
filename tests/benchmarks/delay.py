"""A network of a given round trip on loopback: read, hold for half a round trip, write; the bandwidth is unlimited.

Runs as a process of its own (`python -m tests.benchmarks.delay LISTEN TARGET MILLISECONDS`), so that it takes no time from
those who are measured.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.interop.process import free_ports, running


@contextmanager
def distant(port: int, milliseconds: int, directory: Path) -> Iterator[int]:
    """A port that leads to `port` over a round trip of so many milliseconds; 0 is the port itself."""
    if not milliseconds:
        yield port
        return
    (near,) = free_ports(1)
    command = [sys.executable, "-m", "tests.benchmarks.delay", str(near), str(port), str(milliseconds)]
    with running(command, ports=[near], log=directory / f"delay-{near}.log"):
        yield near


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def take() -> None:
        data = b"x"
        while data:
            data = await reader.read(1 << 16)
            queue.put_nowait((loop.time() + delay, data))

    taking = asyncio.create_task(take())
    with suppress(ConnectionError):
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
    taking.cancel()
    writer.close()


async def _serve(listen: int, target: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)  # the handshake of TCP is a round trip too
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_carry(reader, there_writer, delay), _carry(there_reader, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", listen, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 2000))
