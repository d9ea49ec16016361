"""A wire that is cut after so many octets: a proxy between the product and a server."""

import select
import socket
import struct
from contextlib import suppress
from enum import Enum

from tests.servers.loopback import LoopbackServer, Peer


class Direction(Enum):
    """Whose octets are counted."""

    TO_CLIENT = "from the server to us"
    TO_SERVER = "from us to the server"


class Cutter(LoopbackServer):
    """Passes octets on to `target`, a port, until `after` of them went in `direction`; then both connections end. None: never.

    `reset`: they end as if the machine in between had failed (RST), and not politely (FIN).
    """

    def __init__(self) -> None:
        self.target = 0
        self.direction = Direction.TO_CLIENT
        self.after: int | None = None
        self.reset = False
        self.passed = dict.fromkeys(Direction, 0)
        """Octets of the connection made last."""
        super().__init__(self._carry)

    def _carry(self, peer: Peer) -> None:
        self.passed = dict.fromkeys(Direction, 0)
        near = peer._socket
        with socket.create_connection(("127.0.0.1", self.target), timeout=30) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._pass_on(near, far):
                pass
            if self.reset:
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                near.close()
                return
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> bool:
        """Wait for octets from either side and pass them on; False at the end of either, or of the wire."""
        for source in select.select([near, far], [], [], 30)[0]:
            direction, sink = (Direction.TO_SERVER, far) if source is near else (Direction.TO_CLIENT, near)
            counted = self.after is not None and direction is self.direction
            data = source.recv(65536)
            if counted and self.after is not None:
                data = data[: self.after - self.passed[direction]]
            sink.sendall(data)
            self.passed[direction] += len(data)
            if not data or (counted and self.passed[direction] == self.after):
                return False
        return True
