"""The webhook: posted to once, within its deadline, to where administrators may lead it, whatever answers there."""

import logging
from collections.abc import Callable

import pytest

from fetchrules.errors import FetchError
from fetchrules.notices import webhook
from fetchrules.notices.messages import Message
from tests.certificates import Certificates
from tests.notices.conftest import Hook
from tests.servers.loopback import LoopbackServer, Peer

MESSAGE = Message("Не собирается почта", "- петров", {"began": [], "ended": []})


def refusal(url: str, *, internal: bool = True, seconds: float = 10.0) -> str:
    """The error, as text, with which sending there ends."""
    with pytest.raises(FetchError) as caught:
        webhook.send(MESSAGE, url, internal=internal, seconds=seconds)
    return str(caught.value)


def saying(answer: bytes) -> Callable[[Peer], None]:
    def say(peer: Peer) -> None:
        peer.send(answer)
        peer.stall()

    return say


def test_it_posts_the_message_as_json(hook: Hook) -> None:
    webhook.send(MESSAGE, hook.url, internal=True)
    assert hook.received == [{"began": [], "ended": [], "text": "Не собирается почта\n- петров"}]
    assert hook.heads[0][0] == "POST /hook?token=secret HTTP/1.1"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 204\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\n",
    ],
)
def test_it_waits_for_no_more_than_the_final_status(answer: bytes, hook: Hook) -> None:
    hook.answer = saying(answer)
    webhook.send(MESSAGE, hook.url, internal=True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", "server_refused: HTTP 500"),
        (b"HTTP/1.1 404 \xff\xfe\r\n\r\n", "server_refused: HTTP 404"),
        (b"HTTP/1.1 2OO OK\r\n\r\n" + 20_000 * b"x", "protocol_error: the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "protocol_error: the answer is not HTTP"),
        (b"\x00\xff\x00\xff", "protocol_error: the answer is not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n" + 2000 * b"X-Long: yes\r\n", "protocol_error: the answer is not HTTP"),
    ],
)
def test_it_takes_nothing_else_for_success(answer: bytes, error: str, hook: Hook) -> None:
    hook.answer = saying(answer)
    assert refusal(hook.url) == error


def test_it_says_so_when_the_server_hangs_up(hook: Hook) -> None:
    hook.answer = Peer.close
    assert refusal(hook.url).startswith("connection_lost")


def test_it_follows_no_redirect(hook: Hook) -> None:
    hook.answer = saying(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {hook.url}\r\n\r\n".encode())
    assert refusal(hook.url) == "server_refused: HTTP 307"
    assert len(hook.received) == 1


def dripped(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 1" + 1_000_000 * b"0", 0.01)


def interim_for_ever(peer: Peer) -> None:
    while not peer.stopping.wait(0.01):
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("answer", [dripped, interim_for_ever, Peer.stall])
def test_it_has_one_deadline_for_the_whole_exchange(answer: Callable[[Peer], None], hook: Hook) -> None:
    hook.answer = answer
    assert refusal(hook.url, seconds=0.5).startswith("timed_out")


def test_it_has_a_deadline_for_tls_that_never_ends() -> None:
    with LoopbackServer(lambda peer: peer.drip(b"\x16\x03\x03\x40\x00" + 16_000 * b"\0", 0.01)) as server:
        assert refusal(f"https://127.0.0.1:{server.port}/", seconds=0.5).startswith("timed_out")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_it_connects_to_no_internal_address_unless_allowed(host: str, hook: Hook) -> None:
    port = hook.url.split(":")[2].split("/")[0]
    assert refusal(f"http://{host}:{port}/", internal=False) == "target_forbidden"
    assert hook.received == []


def test_it_asks_no_proxy_of_the_environment(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    webhook.send(MESSAGE, hook.url, internal=True)
    assert len(hook.received) == 1


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "https://",
        "http://[::1",
        "http://host:99999999/",
        "http://a..b/",
        "",
    ],
)
def test_it_posts_to_nothing_but_http(url: str) -> None:
    assert refusal(url).partition(":")[0] in {"protocol_error", "host_not_found"}


def test_it_keeps_what_is_odd_in_an_address_out_of_the_request_line(hook: Hook) -> None:
    webhook.send(MESSAGE, hook.url.replace("/hook?", "/крюк \x7f?a=б&"), internal=True)
    assert hook.heads[0][0] == "POST /%D0%BA%D1%80%D1%8E%D0%BA%20%7F?a=%D0%B1&token=secret HTTP/1.1"


def test_it_logs_in_as_the_address_says(hook: Hook) -> None:
    webhook.send(MESSAGE, hook.url.replace("http://", "http://Aladdin:open%20sesame@"), internal=True)
    assert "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" in hook.heads[0]
    assert not any("sesame" in line for line in hook.heads[0])


def tells_by_tls(certificates: Certificates, name: str) -> Callable[[Peer], None]:
    hook = Hook()

    def serve(peer: Peer) -> None:
        peer.start_tls(getattr(certificates, name).context())
        hook.serve(peer)

    return serve


def test_it_speaks_tls_with_the_server_that_it_was_told(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.cafile))
    with LoopbackServer(tells_by_tls(certificates, "good")) as server:
        webhook.send(MESSAGE, f"https://localhost:{server.port}/", internal=True)


@pytest.mark.parametrize("name", ["expired", "wrong_host", "self_signed"])
def test_it_tells_no_server_with_a_bad_certificate(
    name: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.cafile))
    with LoopbackServer(tells_by_tls(certificates, name)) as server:
        assert refusal(f"https://localhost:{server.port}/").startswith("certificate_")


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/T0KEN", "http://127.0.0.1:1/T0KEN", "gopher://T0KEN"])
def test_it_names_the_address_in_no_error(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = refusal(url)
    assert "T0KEN" not in said + caplog.text
    assert "no-such-host" not in said + caplog.text
