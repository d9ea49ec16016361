"""The web server of `up`: plain HTTP, a thread for each connection, with bounds on everything that a client chooses."""

import logging
import resource
from collections import Counter
from http import HTTPStatus
from threading import Lock, Thread
from typing import Any
from wsgiref import simple_server

from django.conf import settings
from django.core.servers.basehttp import ServerHandler, ThreadedWSGIServer, WSGIRequestHandler

from utm_mail.wsgi import application

log = logging.getLogger(__name__)

CONNECTIONS = 512
"""The most connections at a time. One address gets a quarter of them."""
FILES = 65_536
"""The limit of open files that the process asks for. Many systems begin with 1,024."""
CLIENT_SECONDS = 60
"""How long a connection may be silent."""
DRAINED = 128 * 1024 * 1024
"""Octets of a refused body that are still read, because the client reads the answer only after it has sent them."""
_PIECE = 64 * 1024
_LONGEST_LINE = 64 * 1024


def _files() -> int:
    """Raise the limit of open files to FILES, as far as the system allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


class Web(ThreadedWSGIServer):
    """The web panel as a part of `up`. At most `together` connections leave the rest of the process enough files.

    Making one takes the port: raises OSError.
    """

    name = "web"
    request_queue_size = 128

    def __init__(self, host: str, port: int, together: int | None = None) -> None:
        super().__init__((host, port), _RequestHandler, ipv6=":" in host)
        self.set_app(application)
        self._together = together or min(CONNECTIONS, _files() // 2)
        # Behind a proxy, all connections come from its address.
        self._from_one_place = self._together if settings.SECURE_PROXY_SSL_HEADER else self._together // 4
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def run(self) -> None:
        self.serve_forever()
        self.server_close()

    def stop(self) -> None:
        """Requests in hand are answered while the other parts end."""
        Thread(target=self.shutdown, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread. A connection above the limits is closed unanswered."""
        place = str(client_address[0])
        with self._lock:
            is_room = self._open.total() < self._together and self._open[place] < self._from_one_place
            self._open[place] += is_room
        if not is_room:
            log.warning("too many connections, one more is refused")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # too many threads
            self._leave(place)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(str(client_address[0]))

    def _leave(self, place: str) -> None:
        with self._lock:
            self._open[place] -= 1
            self._open += Counter()  # forgets addresses without open connections


ServerHandler.server_software = "utm-mail"  # without version numbers


class _Handler(ServerHandler):
    """Django's handler reads the rest of a body in one piece, however large."""

    request_handler: "_RequestHandler"

    def close(self) -> None:
        """Read up to DRAINED octets of the rest. If the body is longer, close the connection."""
        unread = self.get_stdin()
        for _ in range(DRAINED // _PIECE):
            if not unread.read(_PIECE):
                break
        else:
            self.request_handler.close_connection = True
        simple_server.ServerHandler.close(self)


class _RequestHandler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS
    server_version, sys_version = "utm-mail", ""

    def handle_one_request(self) -> None:
        """Answer one request. Closes the connection when the client falls silent."""
        try:
            self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
            if len(self.raw_requestline) > _LONGEST_LINE:
                self.requestline = self.request_version = self.command = ""
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            elif self.parse_request():
                handler = _Handler(self.rfile, self.wfile, self.get_stderr(), self.get_environ())
                handler.request_handler = self
                handler.run(application)
        except TimeoutError:
            self.close_connection = True
