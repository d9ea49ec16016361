"""Notices by webhook: one POST of JSON. The address may contain a secret, so no error or log names it."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from fetchrules.errors import HostNotFound, RemoteProtocolError, ServerRefused, TargetForbidden
from fetchrules.notices.messages import Message
from fetchrules.remote import net
from fetchrules.remote.account import Deadlines, TargetPolicy
from fetchrules.remote.authorities import verifying
from fetchrules.remote.connecting import connect
from fetchrules.remote.resolver import ascii_name

SECONDS = 10.0
"""For the whole exchange: name, connection, TLS, request, and the first line of the response."""

_PORTS = {"http": 80, "https": 443}
_ANSWER_OCTETS = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-9]\d\d)[ \r\n]")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d.*?\r?\n\r?\n", re.DOTALL)
"""A response that a server may send before the final one (RFC 9110, 15.2)."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A parsed address. `path` includes the query. `credentials` is the value of `Authorization`, or empty."""

    secure: bool
    host: str
    port: int
    path: str
    credentials: str

    @classmethod
    def parse(cls, url: str) -> "Hook":
        """Raises ValueError unless `url` is an http or https address with a host."""
        parts = urlsplit(url)
        port = _PORTS.get(parts.scheme)
        if port is None or not parts.hostname:
            raise ValueError("a webhook is an http or https address")
        query = f"?{_quoted(parts.query)}" if parts.query else ""
        path = (_quoted(parts.path) or "/") + query
        return cls(parts.scheme == "https", parts.hostname, parts.port or port, path, _credentials(parts))

    @property
    def authority(self) -> str:
        """The value of the `Host` field."""
        host = f"[{self.host}]" if ":" in self.host else ascii_name(self.host)
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def send(message: Message, url: str, *, internal: bool, seconds: float = SECONDS) -> None:
    """Post the message. Follows no redirect, uses no proxy, and reads only the status of the response.

    Raises FetchError, without the address in it, unless the status is 2xx. `internal` allows addresses that are not public.
    """
    data = message.data | {"text": f"{message.subject}\n{message.text}"}
    body = json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")
    try:
        status = _post(Hook.parse(url), body, internal=internal, seconds=seconds)
    except ValueError as error:
        raise RemoteProtocolError("not an address of a webhook") from error
    except (HostNotFound, TargetForbidden) as error:
        raise type(error) from error
    if not 200 <= status < 300:
        raise ServerRefused(f"HTTP {status}")


def _post(hook: Hook, body: bytes, *, internal: bool, seconds: float) -> int:
    policy = TargetPolicy() if internal else TargetPolicy(public_only=True, ports=frozenset({hook.port}))
    deadlines = Deadlines(connect=seconds, idle=seconds, session=seconds, slowest=0, listing=seconds)
    stream = connect(hook.host, hook.port, deadlines, policy)
    try:
        if hook.secure:
            stream.start_tls(verifying(), ascii_name(hook.host))
        stream.write(_head(hook, len(body)) + body)
        return _status(stream)
    finally:
        stream.close()


def _head(hook: Hook, size: int) -> bytes:
    lines = [
        f"POST {hook.path} HTTP/1.1",
        f"Host: {hook.authority}",
        "User-Agent: utm-mail",
        "Content-Type: application/json",
        f"Content-Length: {size}",
        "Connection: close",
    ]
    if hook.credentials:
        lines.append(f"Authorization: {hook.credentials}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def _status(stream: net.Stream) -> int:
    answer = b""
    while len(answer) < _ANSWER_OCTETS:
        answer += stream.read()
        while interim := _INTERIM.match(answer):
            answer = answer[interim.end() :]
        if found := _STATUS.match(answer):
            return int(found[1])
        if not b"HTTP/1.".startswith(answer[:7]):
            break
    raise RemoteProtocolError("the answer is not HTTP")


def _quoted(text: str) -> str:
    """Percent-encode everything that may not stand in a request line: non-ASCII, blanks, control characters."""
    return quote(text, safe="/%:@!$&'()*+,;=?~-._[]")


def _credentials(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")
