"""IMAP servers that people really have, as far as they differ from one another: what each says in its own way.

Scripts as those of `imap_scripts`, and lists of folders.
"""

import re
from collections.abc import Callable

from tests.servers.faults import Alter, Fault, Say
from tests.servers.imap import Behaviour, Step
from tests.servers.imap_scripts import LARGE, LETTERS, Script

_EACH = re.compile(rb"(?m)^(?=\* [0-9]+ (?:FETCH|EXPUNGE)|[A-Z]+[0-9]+ (?:OK|NO|BAD))")
"""Where an untagged answer about a letter begins, or the last line."""


def _pieces(answer: bytes) -> tuple[list[bytes], bytes]:
    """The untagged answers, and the last line."""
    *untagged, last = (piece for piece in _EACH.split(answer) if piece)
    return untagged, last


def _backwards(answer: bytes) -> bytes:
    untagged, last = _pieces(answer)
    return b"".join(untagged[::-1]) + last


def _with_flags_between(answer: bytes) -> bytes:
    untagged, last = _pieces(answer)
    told = (b"* %d FETCH (UID %d FLAGS (\\Seen \\Recent))\r\n" % (n, n) for n in range(1, len(untagged) + 1))
    return b"".join(one + flags for one, flags in zip(untagged, told, strict=True)) + b"* 1 FETCH (FLAGS ())\r\n" + last


def _with_counts_between(answer: bytes) -> bytes:
    untagged, last = _pieces(answer)
    return b"".join(one + b"* 7 EXISTS\r\n* 0 RECENT\r\n" for one in untagged) + last


def _larger(octets: int) -> Callable[[bytes], bytes]:
    """The sizes of a listing changed by so many octets."""

    def change(answer: bytes) -> bytes:
        return re.sub(rb"RFC822\.SIZE ([0-9]+)", lambda m: b"RFC822.SIZE %d" % max(0, int(m[1]) + octets), answer)

    return change


def _script(name: str, capabilities: str, *faults: Fault, letters: tuple[bytes, ...] = LETTERS) -> Script:
    told = tuple(capabilities.split())
    return Script(name, Behaviour(capabilities=told, faults=faults), letters=letters, got=len(letters))


EXCHANGE = "IMAP4 IMAP4rev1 AUTH=NTLM AUTH=PLAIN IDLE NAMESPACE LITERAL+"
GMAIL = (
    "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE "
    "ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"
)
CYRUS = "IMAP4rev1 LITERAL+ ID ENABLE ACL RIGHTS=kxten QUOTA NAMESPACE UIDPLUS UNSELECT CHILDREN SASL-IR AUTH=PLAIN"
COURIER = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=REFERENCES SORT QUOTA IDLE AUTH=PLAIN ACL ACL2=UNION"

KINDS: tuple[Script, ...] = (
    *(
        _script(
            f"Exchange, sizes off by {octets}",
            EXCHANGE,
            Fault(Step.GREETING, Say(b"* OK The Microsoft Exchange IMAP4 service is ready. [SABFADIAUABSAA==]\r\n")),
            Fault(Step.LISTING, Alter(_larger(octets))),
            Fault(Step.FETCH, Alter(_backwards), nth=0),
            letters=(*LETTERS, LARGE),
        )
        for octets in (37, -37, 1_100_000, -1_100_000, -10_000_000)
    ),
    _script("Exchange, flags between letters", EXCHANGE, Fault(Step.FETCH, Alter(_with_flags_between), nth=0)),
    _script("Exchange, flags in the listing", EXCHANGE, Fault(Step.LISTING, Alter(_with_flags_between))),
    _script(
        "Exchange, a count behind each expunge",
        EXCHANGE,
        Fault(Step.EXPUNGE, Alter(_with_counts_between), nth=0),
        Fault(Step.STORE, Alter(_with_counts_between), nth=0),
        letters=tuple(b"Subject: %d\r\n\r\n" % number for number in range(600)),
    ),
    _script(
        "Gmail",
        GMAIL,
        Fault(Step.GREETING, Say(b"* OK Gimap ready for requests from 1.2.3.4 d9mb1\r\n")),
        Fault(
            Step.SELECT,
            Alter(lambda answer: b"* OK [PERMANENTFLAGS (\\*)] .\r\n* OK [HIGHESTMODSEQ 95017]\r\n" + answer),
        ),
    ),
    _script(
        "Cyrus",
        CYRUS,
        Fault(Step.GREETING, Say(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ ID] mail Cyrus IMAP v2.4.17 server ready\r\n")),
        Fault(Step.LOGIN, Alter(lambda answer: answer.replace(b"logged in", b"User logged in SESSIONID=<cyrus-1>"))),
    ),
    _script(
        "Courier",
        COURIER,
        Fault(Step.GREETING, Say(b"* OK [CAPABILITY IMAP4rev1 UIDPLUS] Courier-IMAP ready. See COPYING.\r\n")),
        Fault(Step.SELECT, Alter(lambda answer: b"* OK [ALERT] Filesystem notification error\r\n" + answer)),
    ),
)

LISTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "Gmail": (
        (
            b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n'
            b'* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"\r\n'
            b'* LIST (\\All \\HasNoChildren) "/" "[Gmail]/&BBIEQQRP- &BD8EPgRHBEIEMA-"\r\n'
            b'* LIST (\\HasNoChildren \\Junk) "/" "[Gmail]/&BCEEPwQwBDw-"\r\n'
        ),
        ("INBOX", "[Gmail]/Вся почта", "[Gmail]/Спам"),
    ),
    "Cyrus": (
        (
            b'* LIST (\\HasChildren) "." "INBOX"\r\n'
            b'* LIST (\\HasNoChildren) "." "INBOX.Sent Items"\r\n'
            b'* LIST (\\HasNoChildren) "." INBOX.&BCEEPwQwBDw-\r\n'
            b'* LIST (\\HasNoChildren) "." "user.ivanov"\r\n'
        ),
        ("INBOX", "INBOX.Sent Items", "INBOX.Спам", "user.ivanov"),
    ),
    "Courier": (
        (
            b'* LIST (\\Unmarked \\HasChildren) "." "INBOX"\r\n'
            b'* LIST (\\HasNoChildren) "." "INBOX.Trash"\r\n'
            b'* LIST (\\Noinferiors) "." {13}\r\nINBOX.a "b" c\r\n'
        ),
        ("INBOX", "INBOX.Trash", 'INBOX.a "b" c'),
    ),
    "Exchange": (
        (
            b'* LIST (\\Marked \\HasNoChildren) "/" INBOX\r\n'
            b'* LIST (\\HasNoChildren) "/" "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"\r\n'
            b'* LIST (\\HasNoChildren) "/" Calendar\r\n'
        ),
        ("INBOX", "Отправленные", "Calendar"),
    ),
    "UTF8=ACCEPT": (
        '* LIST () "/" "Входящие"\r\n* LIST () "/" {10}\r\nСпам/1\r\n'.encode(),
        ("Входящие", "Спам/1"),
    ),
    "more than was asked for": (
        b'* LIST (\\Subscribed) "/" INBOX ("CHILDINFO" ("SUBSCRIBED"))\r\n* LIST () "/" a ("OLDNAME" ("b"))\r\n',
        ("INBOX", "a"),
    ),
    "news in between": (
        b'* 3 EXISTS\r\n* LIST () "/" INBOX\r\n* OK [ALERT] quota\r\n* STATUS INBOX (MESSAGES 3)\r\n',
        ("INBOX",),
    ),
}
"""What a server answers to LIST, and the folders that people then see."""
