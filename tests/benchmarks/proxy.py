"""A round trip where the machine can have no delay line: read, hold for half of it, write. It has no bandwidth, and its own TCP.

Runs as a process of its own: `python -m tests.benchmarks.proxy MILLISECONDS LISTEN:TARGET...`. It listens on all of 127.0.0.0/8.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.interop.process import free_ports, running

HOSTS = tuple(f"127.0.1.{number}" for number in range(1, 17))


@contextmanager
def distant(ports: Mapping[str, int], milliseconds: int, directory: Path) -> Iterator[dict[str, int]]:
    """Ports that lead to these over a round trip of so many milliseconds."""
    near = dict(zip(ports, free_ports(len(ports)), strict=True))
    pairs = [f"{near[name]}:{ports[name]}" for name in ports]
    command = [sys.executable, "-m", "tests.benchmarks.proxy", str(milliseconds), *pairs]
    with running(command, ports=[*near.values()], log=directory / "proxy.log"):
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

    async with await asyncio.start_server(connected, "0.0.0.0", listen, backlog=1024) as server:
        await server.serve_forever()


async def _serve_all(milliseconds: float, pairs: list[str]) -> None:
    ports = [[int(port) for port in pair.split(":")] for pair in pairs]
    await asyncio.gather(*(_serve(listen, target, milliseconds / 2000) for listen, target in ports))


if __name__ == "__main__":
    asyncio.run(_serve_all(float(sys.argv[1]), sys.argv[2:]))
