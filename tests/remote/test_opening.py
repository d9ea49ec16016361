"""A server that says nothing in the clear: is it TLS that it waits for?"""

import pytest

from fetchrules.errors import ConnectionLost, FetchError, TimedOut, TlsExpected
from fetchrules.remote import opening
from fetchrules.remote.account import Account, Deadlines
from fetchrules.remote.imap.session import open_imap
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.certificates import Certificates
from tests.servers.faults import Action, Cut, Fault, Stall
from tests.servers.imap import Folder, ImapServer
from tests.servers.maildrop import Maildrop
from tests.servers.pop3 import PASSWORD, USER, Behaviour, Pop3Server, Step

HASTY = Deadlines(connect=5, idle=0.3, session=10)
CLEAR = [Encryption.AUTO, Encryption.STARTTLS, Encryption.PLAINTEXT]


def account(protocol: Protocol, port: int, encryption: Encryption) -> Account:
    return Account(protocol, "localhost", port, USER, PASSWORD, encryption, deadlines=HASTY)


@pytest.mark.parametrize("encryption", CLEAR)
def test_it_says_that_tls_is_expected(
    encryption: Encryption, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificates.self_signed.context()
    with (
        Pop3Server(Maildrop(), tls=context, implicit=True) as pop3,
        ImapServer(Folder(), tls=context, implicit=True) as imap,
    ):
        monkeypatch.setattr(opening, "TLS_PORTS", {pop3.port, imap.port})
        with pytest.raises(TlsExpected):
            open_pop3(account(Protocol.POP3, pop3.port, encryption))
        with pytest.raises(TlsExpected):
            open_imap(account(Protocol.IMAP, imap.port, encryption))
        assert (pop3.said, imap.said) == ([], [])


@pytest.mark.parametrize(("action", "error"), [(Stall(), TimedOut), (Cut(), ConnectionLost)])
def test_it_takes_no_other_silence_for_that(
    action: Action, error: type[FetchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pop3Server(Maildrop(), Behaviour(faults=(Fault(Step.GREETING, action),))) as server:
        monkeypatch.setattr(opening, "TLS_PORTS", {server.port})
        with pytest.raises(error):
            open_pop3(account(Protocol.POP3, server.port, Encryption.AUTO))


def test_it_does_not_look_on_other_ports(certificates: Certificates) -> None:
    with Pop3Server(Maildrop(), tls=certificates.good.context(), implicit=True) as server:
        with pytest.raises(TimedOut):
            open_pop3(account(Protocol.POP3, server.port, Encryption.AUTO))
        assert server.connections == 1
