"""Both clients against a real Dovecot, over each kind of connection."""

import pytest

from fetchrules.remote.account import Account
from fetchrules.remote.imap.session import list_imap_folders, open_imap
from fetchrules.remote.mailbox import Begun, Chunk, RemoteMailbox, TlsLevel
from fetchrules.remote.pop3.session import open_pop3
from fetchrules.rule import Encryption, Protocol
from tests.interop.dovecot import PASSWORD, Dovecot
from tests.servers.maildrop import letter

pytestmark = pytest.mark.interop

LETTERS = [
    *[letter(f"number {number}", 3000) for number in range(300)],
    b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n",
    b"Subject: large\r\n\r\n" + b"x" * 2_500_000 + b"\r\n",
    b"Subject: 8-bit\r\n\r\n" + bytes(range(14, 256)) + b"\r\n",
    b"Subject: no body\r\n\r\n",
]

WAYS = [
    (Encryption.PLAINTEXT, TlsLevel.NONE),
    (Encryption.AUTO, TlsLevel.VERIFIED),
    (Encryption.STARTTLS, TlsLevel.VERIFIED),
    (Encryption.SSL, TlsLevel.VERIFIED),
]


def account(dovecot: Dovecot, protocol: Protocol, encryption: Encryption, user: str) -> Account:
    ports = {
        (Protocol.POP3, False): dovecot.pop3,
        (Protocol.POP3, True): dovecot.pop3s,
        (Protocol.IMAP, False): dovecot.imap,
        (Protocol.IMAP, True): dovecot.imaps,
    }
    port = ports[protocol, encryption is Encryption.SSL]
    return Account(protocol, "localhost", port, user, PASSWORD, encryption=encryption)


def opened(dovecot: Dovecot, protocol: Protocol, encryption: Encryption, user: str) -> RemoteMailbox:
    cafile = str(dovecot.certificates.cafile)
    terms = account(dovecot, protocol, encryption, user)
    return open_pop3(terms, cafile=cafile) if protocol is Protocol.POP3 else open_imap(terms, cafile=cafile)


def retrieved(mailbox: RemoteMailbox) -> list[bytes]:
    """The letters in the order of the listing; Dovecot answers IMAP commands that are in flight in another one."""
    letters: dict[int, bytes] = {}
    for event in mailbox.retrieve(mailbox.listing().letters):
        match event:
            case Begun(letter):
                letters[letter.number] = b""
            case Chunk(letter, data):
                letters[letter.number] += data
            case _:
                pass
    return [letters[number] for number in sorted(letters)]


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(("encryption", "level"), WAYS)
def test_it_reads_and_empties_a_mailbox(
    dovecot: Dovecot, protocol: Protocol, encryption: Encryption, level: TlsLevel
) -> None:
    user = f"{protocol}{encryption}"
    dovecot.put(user, LETTERS)
    mailbox = opened(dovecot, protocol, encryption, user)
    listing = mailbox.listing()
    assert mailbox.connection.tls is level
    assert listing.complete
    assert len({one.uid for one in listing.letters}) == len(LETTERS)
    assert [one.size for one in listing.letters] == [len(one) for one in LETTERS]
    assert retrieved(mailbox) == LETTERS
    assert mailbox.exists == len(LETTERS)
    heads = [one[: one.index(b"\r\n\r\n") + 4] for one in LETTERS]
    assert list(mailbox.heads(listing.letters)) == list(zip(listing.letters, heads, strict=True))
    assert list(mailbox.delete(listing.letters[1:])) == [(one, True) for one in listing.letters[1:]]
    assert mailbox.quit()
    left = opened(dovecot, protocol, encryption, user)
    assert [one.uid for one in left.listing().letters] == [listing.letters[0].uid]
    assert left.quit()


def test_it_leaves_a_letter_that_another_imap_client_has_flagged(dovecot: Dovecot) -> None:
    dovecot.put("left.alone", LETTERS[:3])
    with dovecot.logged_in("left.alone") as other:
        other.store("2", "+FLAGS", "(\\Deleted)")
    mailbox = opened(dovecot, Protocol.IMAP, Encryption.PLAINTEXT, "left.alone")
    letters = mailbox.listing().letters
    assert retrieved(mailbox) == [LETTERS[0], LETTERS[2]]
    assert all(accepted for _, accepted in mailbox.delete(letters))
    assert mailbox.quit()
    assert dovecot.read("left.alone") == [LETTERS[1]]


def test_it_opens_folders_by_the_names_that_people_write(dovecot: Dovecot) -> None:
    dovecot.put("cyrillic", LETTERS[:1])
    with dovecot.logged_in("cyrillic") as other:
        other.create("&BBAEQARFBDgEMg-")
        other.copy("1", "&BBAEQARFBDgEMg-")
    terms = account(dovecot, Protocol.IMAP, Encryption.PLAINTEXT, "cyrillic")
    assert set(list_imap_folders(terms)) == {"INBOX", "Архив"}
    archive = open_imap(
        Account(Protocol.IMAP, "localhost", dovecot.imap, "cyrillic", PASSWORD, Encryption.PLAINTEXT, folder="Архив")
    )
    assert retrieved(archive) == LETTERS[:1]
    assert archive.quit()
