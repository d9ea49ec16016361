"""Every way to log in against a real Dovecot: one that stores passwords, and one that has only their hashes."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from fetchrules.errors import LoginRefused
from fetchrules.remote.account import Account
from fetchrules.remote.auth.ways import Way
from fetchrules.remote.imap.session import open_imap
from fetchrules.remote.mailbox import RemoteMailbox
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import Encryption, Protocol
from tests.interop.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.interop.fixtures import short_path
from tests.servers.maildrop import letter

pytestmark = pytest.mark.interop

EVERYTHING = "auth_mechanisms = plain login cram-md5 apop scram-sha-1 scram-sha-256\n"
HASHED = "{SHA256}" + b64encode(sha256(PASSWORD.encode()).digest()).decode()
SHOWN = [Way.NATIVE, Way.PLAIN, Way.LOGIN]


@pytest.fixture(scope="module")
def knowing() -> Iterator[Dovecot]:
    """It stores the passwords themselves."""
    with short_path() as directory, running_dovecot(Path(directory), EVERYTHING) as server:
        server.put("petrov", [letter("one")])
        yield server


@pytest.fixture(scope="module")
def hashing() -> Iterator[Dovecot]:
    """It offers everything, but stores hashes that are good for nothing but a password that is shown."""
    with short_path() as directory, running_dovecot(Path(directory), EVERYTHING, HASHED) as server:
        server.put("petrov", [letter("one")])
        yield server


OF_PROTOCOL = [(protocol, way) for protocol in Protocol for way in Way if (protocol, way) != (Protocol.IMAP, Way.APOP)]
NATIVE = {Protocol.POP3: "USER", Protocol.IMAP: "LOGIN"}


def commands(
    dovecot: Dovecot, protocol: Protocol, *, tls: bool, way: Way | None = None, password: str = PASSWORD
) -> list[str]:
    """The commands by which a session tried to log in, by mechanism."""
    port = getattr(dovecot, f"{protocol}s" if tls else protocol)
    transcript = Transcript()
    encryption = Encryption.SSL if tls else Encryption.PLAINTEXT
    terms = Account(protocol, "localhost", port, "petrov", password, encryption, way=way)
    open_it = open_pop3 if protocol is Protocol.POP3 else open_imap
    try:
        mailbox: RemoteMailbox = open_it(terms, cafile=str(dovecot.certificates.cafile), trace=transcript)
        assert len(mailbox.listing().letters) == 1
        assert mailbox.quit()
    finally:
        said = [line.text.split(" ") for line in transcript.head if line.speaker is Speaker.CLIENT]
        assert PASSWORD not in str(transcript.head)
    return [
        words[1] if words[0] in ("AUTH", "AUTHENTICATE") else words[0]
        for words in said
        if words[0] in ("USER", "APOP", "AUTH", "LOGIN", "AUTHENTICATE")
    ]


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(("protocol", "way"), OF_PROTOCOL)
def test_it_logs_in_by(knowing: Dovecot, protocol: Protocol, way: Way, tls: bool) -> None:
    assert commands(knowing, protocol, tls=tls, way=way) == [NATIVE[protocol] if way is Way.NATIVE else way]


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("protocol", Protocol)
def test_it_takes_the_best(knowing: Dovecot, protocol: Protocol, tls: bool) -> None:
    assert commands(knowing, protocol, tls=tls) == ["SCRAM-SHA-256"]


@pytest.mark.parametrize(("protocol", "way"), OF_PROTOCOL)
def test_it_is_refused_with_a_wrong_password_by(knowing: Dovecot, protocol: Protocol, way: Way) -> None:
    with pytest.raises(LoginRefused):
        commands(knowing, protocol, tls=True, way=way, password="wrong")


@pytest.mark.parametrize(("protocol", "way"), OF_PROTOCOL)
def test_it_logs_in_where_hashes_are_stored_only_by_what_shows_the_password(
    hashing: Dovecot, protocol: Protocol, way: Way
) -> None:
    if way in SHOWN:
        assert commands(hashing, protocol, tls=True, way=way)
    else:
        with pytest.raises(LoginRefused):
            commands(hashing, protocol, tls=True, way=way)


@pytest.mark.parametrize("protocol", Protocol)
def test_it_finds_out_once_that_a_server_stores_hashes(hashing: Dovecot, protocol: Protocol) -> None:
    native = NATIVE[protocol]
    for tls in (True, False):
        assert commands(hashing, protocol, tls=tls)[-1] == native
        assert [commands(hashing, protocol, tls=tls) for _ in range(2)] == [[native], [native]]
