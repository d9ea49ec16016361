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


def _without_text(answer: bytes) -> bytes:
    return re.sub(rb"(?m)^([A-Z]+[0-9]+ OK)[^\r\n]*", rb"\1", answer)


def _in_lower_case(answer: bytes) -> bytes:
    names = rb"UIDVALIDITY|CAPABILITY|FETCH|UID|FLAGS|INTERNALDATE|RFC822\.SIZE|BODY|EXISTS|LIST|OK(?= \[)"
    return re.sub(rb"(?m)^\*.*$", lambda line: re.sub(names, lambda name: name[0].lower(), line[0]), answer)


def _with_blanks(answer: bytes) -> bytes:
    """DavMail sends blanks, and newer ones send words, while it reads a folder or a letter."""
    spaced = re.sub(rb"(?m)^\* (?=[0-9]+ EXISTS)", b"*    ", answer)
    spaced = re.sub(rb"(?m)^(\* [0-9]+ FETCH \(UID [0-9]+)", rb"\1   ", spaced)
    return b"* OK Still here\r\n* OK\r\n" + re.sub(rb"\[\] (?=\{)", b"[]    ", spaced)


def _floats(answer: bytes) -> bytes:
    return re.sub(rb"SIZE ([0-9]+)", lambda size: f"SIZE {float(size[1]):.4e}".encode(), answer)


def _in_two_lines(answer: bytes) -> bytes:
    return re.sub(rb"(?m)^(\* [0-9]+ FETCH \()(UID [0-9]+)( .*?)( RFC822)", rb"\1\2\3)\r\n\1\2\4", answer)


def _letter_ends(ending: bytes) -> Alter:
    """What stands behind each letter, instead of the parenthesis; `UID` there is the letter's, and no more before it."""

    def change(answer: bytes) -> bytes:
        uid = re.match(rb"\* [0-9]+ FETCH \((UID [0-9]+) ", answer)
        if uid is None or b"{" not in answer:
            return answer
        if b"UID" in ending:
            answer = answer.replace(uid[1] + b" ", b"", 1)
        return re.sub(rb"\)\r\n(?=[A-Z]+[0-9]+ OK[^\r\n]*\r\n\Z)", ending.replace(b"UID", uid[1]), answer)

    return Alter(change)


def _in_every_answer(change: Callable[[bytes], bytes]) -> tuple[Fault, ...]:
    return tuple(Fault(step, Alter(change), nth=0) for step in Step if step not in (Step.GREETING, Step.LOGOUT))


def _uidvalidity(value: bytes) -> Fault:
    return Fault(Step.SELECT, Alter(lambda answer: re.sub(rb"UIDVALIDITY [0-9]+", b"UIDVALIDITY " + value, answer)))


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
DAVMAIL = "IMAP4REV1 AUTH=LOGIN IDLE MOVE SPECIAL-USE UIDPLUS"
NETEASE = "IMAP4rev1 XLIST SPECIAL-USE ID LITERAL+ STARTTLS APPENDLIMIT=71680000 XAPPLEPUSHSERVICE UIDPLUS"

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
        Fault(Step.SELECT, Alter(lambda answer: b"* OK [PERMANENTFLAGS (\\*)] .\r\n" + answer)),
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
    _script("Exchange, no text behind OK", EXCHANGE, *_in_every_answer(_without_text)),
    # github.com/mguessan/davmail/issues/41, /454, pull/406
    _script("DavMail", DAVMAIL, *_in_every_answer(_with_blanks)),
    _script("names in lower case", COURIER, *_in_every_answer(_in_lower_case)),
    # github.com/jstedfast/MailKit/issues/1838
    _script("Mail.ru, numbers as floats", COURIER, Fault(Step.LISTING, Alter(_floats)), letters=(*LETTERS, LARGE)),
    # github.com/paperless-ngx/paperless-ngx/issues/13412
    _script("Xeams", COURIER, Fault(Step.FETCH, _letter_ends(b")\r\n FLAGS (\\\\Seen) RFC822.SIZE 7)\r\n"), nth=0)),
    _script("Xeams, the UID behind", COURIER, Fault(Step.FETCH, _letter_ends(b")\r\n UID RFC822.SIZE 7)\r\n"), nth=0)),
    _script("a list that ends too early", COURIER, Fault(Step.FETCH, _letter_ends(b") UID X (1))\r\n"), nth=0)),
    _script("a blank line behind a letter", COURIER, Fault(Step.FETCH, _letter_ends(b"\r\n)\r\n"), nth=0)),
    _script("a blank line, and the UID behind", COURIER, Fault(Step.FETCH, _letter_ends(b"\r\n UID)\r\n"), nth=0)),
    # github.com/jakartaee/mail-api/issues/209
    _script("QQ, a blank before the end", COURIER, Fault(Step.FETCH, _letter_ends(b" )\r\n"), nth=0)),
    _script("no UID", COURIER, Fault(Step.FETCH, _letter_ends(b" X (UID))\r\n"), nth=0)),
    _script(
        "a letter told of in two lines",
        COURIER,
        Fault(Step.LISTING, Alter(_in_two_lines)),
        Fault(Step.FETCH, _letter_ends(b")\r\n* 1 FETCH (FLAGS (\\\\Seen))\r\n"), nth=0),
    ),
    _script(
        "words that look like literals",
        COURIER,
        Fault(Step.LISTING, Alter(lambda answer: answer.replace(b"FLAGS (", b"FLAGS ($x{5} {7} "))),
        letters=(b"Subject: {5}\r\n\r\n{3}", b"{0}\r\n", b"Subject: x {1}"),
    ),
    # github.com/emersion/go-imap/issues/612, github.com/postalsys/emailengine/pull/345
    _script("a UIDVALIDITY of 41 bits", COURIER, _uidvalidity(b"1713632002544")),
    _script("a UIDVALIDITY of 0", COURIER, _uidvalidity(b"0")),
    # github.com/mscdex/node-imap/issues/908
    Script("NetEase", Behaviour(capabilities=tuple(NETEASE.split()), wants_id=True)),
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
