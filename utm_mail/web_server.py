"""The panel's own web server, for `up`: plain HTTP, a thread for each connection, bounded in whatever a stranger chooses."""

import logging
import resource
from collections import Counter
from http import HTTPStatus
from threading import Lock
from typing import Any
from wsgiref import simple_server

from django.conf import settings
from django.core.servers.basehttp import ServerHandler, ThreadedWSGIServer, WSGIRequestHandler

from utm_mail.wsgi import application

log = logging.getLogger(__name__)

CONNECTIONS = 512
"""So many at a time at most; from one address a quarter of them."""
FILES = 65_536
"""So many files the process may have open, if the system lets it: many systems begin with 1,024."""
CLIENT_SECONDS = 60
"""How long a browser's connection may be silent."""

DRAINED = 128 * 1024 * 1024
"""Octets of a refused body that are still taken off the connection, so that the client can read why."""
_PIECE = 64 * 1024
_LONGEST_LINE = 64 * 1024


def make_server(host: str, port: int) -> ThreadedWSGIServer:
    """Listen there. Raises OSError."""
    return _Server(host, port, min(CONNECTIONS, _files() // 2))


def _files() -> int:
    """How many files the process may have open, as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return FILES if soft == resource.RLIM_INFINITY else soft


class _Server(ThreadedWSGIServer):
    """A thread for each connection, and not more connections than leave the rest of the process its files."""

    request_queue_size = 128

    def __init__(self, host: str, port: int, together: int) -> None:
        super().__init__((host, port), _RequestHandler, ipv6=":" in host)
        self.set_app(application)
        self._together = together
        # All that come through a proxy have its address.
        self._from_one_place = together if settings.SECURE_PROXY_SSL_HEADER else together // 4
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; one connection too many is closed unanswered."""
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
        except RuntimeError:  # no thread can be had
            self._leave(place)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Until the client or its silence ends it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(str(client_address[0]))

    def _leave(self, place: str) -> None:
        with self._lock:
            self._open[place] -= 1
            self._open += Counter()  # forgets those that have none open


ServerHandler.server_software = "utm-mail"  # no versions for those who look for old ones


class _Handler(ServerHandler):
    """Django's takes what a request has left unread off the connection in one piece, however large."""

    request_handler: "_RequestHandler"

    def close(self) -> None:
        """Take off the beginning, for the client to read the answer; of a body that does not end there the connection is closed."""
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
        """One request; a client that falls silent is hung up on."""
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
