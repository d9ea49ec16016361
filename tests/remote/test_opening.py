from fetchrules.remote.account import Account
from fetchrules.remote.opening import open_mailbox
from fetchrules.remote.transcript import Transcript
from fetchrules.ruletext.spec import Encryption, Protocol
from tests.servers.maildrop import Maildrop, letter
from tests.servers.pop3 import PASSWORD, USER, Pop3Server


def test_it_opens_a_pop3_mailbox() -> None:
    with Pop3Server(Maildrop([letter("one")])) as server:
        account = Account(Protocol.POP3, server.host, server.port, USER, PASSWORD, Encryption.PLAINTEXT)
        mailbox = open_mailbox(account, Transcript())
        assert len(mailbox.listing().letters) == 1
        assert mailbox.quit()
