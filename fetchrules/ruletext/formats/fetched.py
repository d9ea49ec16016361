"""Lists of the letters that another collector has fetched and left on the server: fetchmail's, getmail6's and mpop's.

fetchmail: `.fetchids`, a line `USER@HOST UID` for each letter. mpop: its `uidls_file`, for each account a line ` NUMBER HOST USER`
and as many lines with a UID. Neither names a port, and both are about POP3. getmail6: a file `oldmail-SERVER-PORT-USER` for each
account, or `oldmail-SERVER-PORT-USER-MAILBOX` for each folder on IMAP, with a line `UID NUL TIME` for each letter; on IMAP the UID
is `UIDVALIDITY/UID`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fetchrules.rule import DEFAULT_PORTS, Protocol
from fetchrules.ruletext.formats.detection import Format, detect
from fetchrules.ruletext.line import parse_line
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Source, host_key

MAX_OCTETS = 20_000_000
"""The longest file that is read."""


class Collector(StrEnum):
    """The program that wrote a list."""

    FETCHMAIL = "fetchmail"
    GETMAIL = "getmail6"
    MPOP = "mpop"


class UnreadableList(Exception):
    """A file is no list of fetched letters. `problem` has the line, if one is at fault."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class FetchedList:
    """The unique-ids of the letters of one account, or folder. `account`: its name in the file, USER@HOST.

    getmail6 has the account in the file's name only, with some characters replaced: there `account` is that name.
    """

    collector: Collector
    account: str
    uids: frozenset[str]

    @property
    def login(self) -> tuple[str, str]:
        """The server, in the form of `host_key`, and the user."""
        user, _, host = self.account.rpartition("@")
        return host_key(host), user


def read_fetched(content: str, name: str) -> tuple[FetchedList, ...]:
    """The lists in a file with this `name`, by account. Raises UnreadableList."""
    collector = _collector_of(content)
    if collector is None:
        raise UnreadableList(Problem(Code.FETCHED_UNKNOWN))
    if collector is Collector.GETMAIL:
        return (_oldmail(content, name),)
    found = _uidls(content) if collector is Collector.MPOP else _fetchids(content)
    by_account: dict[str, set[str]] = {}
    for account, uid in found:
        by_account.setdefault(account, set()).add(uid)
    return tuple(FetchedList(collector, account, frozenset(uids)) for account, uids in by_account.items())


@dataclass(frozen=True, slots=True)
class Handed:
    """What becomes of a list: the mailboxes that its letters lie in, and how many rules read them."""

    fetched: FetchedList
    sources: tuple[Source, ...]
    rules: int


def hand_over(lists: Sequence[FetchedList], readers: Mapping[Source, int]) -> list[Handed]:
    """The mailboxes of each list among those that rules read; `readers`: how many rules."""
    found: list[list[Source]] = [[] for _ in lists]
    for number, source in _matching(lists, readers):
        found[number].append(source)
    return [
        Handed(one, tuple(sources), sum(readers[source] for source in sources))
        for one, sources in zip(lists, found, strict=True)
    ]


def _matching(lists: Sequence[FetchedList], sources: Iterable[Source]) -> Iterator[tuple[int, Source]]:
    """The number of each list with each of the mailboxes that its letters lie in."""
    by_login: dict[tuple[str, str], list[int]] = {}
    by_name: dict[int, str] = {}
    for number, one in enumerate(lists):
        if one.collector is Collector.GETMAIL:
            by_name[number] = one.account
        else:
            by_login.setdefault(one.login, []).append(number)
    for source in sources:
        if source.protocol is Protocol.POP3:
            yield from ((number, source) for number in by_login.get((source.host, source.user), ()))
        yield from ((number, source) for number, name in by_name.items() if _is_oldmail_of(name, source))


_MPOP_HEAD = re.compile(r" (?P<number>\d+) (?P<host>\S+) (?P<user>.+)")
_FETCHIDS_LINE = re.compile(r"(?P<account>.+@[^@\s]+)[ \t]+(?P<uid>\S+)")
_OLDMAIL_LINE = re.compile(r"(?P<uid>[^\0]+)\0\d+")
_WITH_FOLDER = re.compile(r"([0-9]+)/[^/]*/([0-9]+)")
_Found = Iterator[tuple[str, str]]
"""The account and a letter's unique-id."""


def _collector_of(content: str) -> Collector | None:
    if "\0" in content:
        return Collector.GETMAIL
    first = next((line for _, line in _lines(content) if not line.startswith("#")), "")
    if _MPOP_HEAD.fullmatch(first):
        return Collector.MPOP
    is_of_rules = detect(content) is not Format.TEXT or parse_line(first).rule is not None
    return Collector.FETCHMAIL if _FETCHIDS_LINE.fullmatch(first.strip()) and not is_of_rules else None


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, without their ends, and their numbers."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield number, line.removesuffix("\r")


def _fetchids(content: str) -> _Found:
    for number, line in _lines(content):
        found = _FETCHIDS_LINE.fullmatch(line.strip())
        if found is None:
            raise _unreadable(number, Collector.FETCHMAIL)
        yield found["account"], found["uid"]


def _uidls(content: str) -> _Found:
    account, missing, number = "", 0, 0
    for number, line in _lines(content):
        if line.startswith("#"):
            continue
        head = _MPOP_HEAD.fullmatch(line)
        if (head is None) is (missing == 0):
            raise _unreadable(number, Collector.MPOP)
        if head is not None:
            account, missing = f"{head['user']}@{head['host']}", int(head["number"])
        else:
            missing -= 1
            yield account, line.strip()
    if missing:
        raise _unreadable(number, Collector.MPOP)


def _oldmail(content: str, name: str) -> FetchedList:
    uids = set()
    for number, line in _lines(content):
        found = _OLDMAIL_LINE.fullmatch(line.strip())
        if found is None:
            raise _unreadable(number, Collector.GETMAIL)
        # Before getmail 4.22 the folder stood between the two. On POP3 a unique-id may hold strokes as well.
        by_folder = _WITH_FOLDER.fullmatch(found["uid"])
        uids.add(f"{by_folder[1]}/{by_folder[2]}" if by_folder else found["uid"])
    if not any(_places_of(name)):
        raise UnreadableList(Problem(Code.FETCHED_NAME))
    return FetchedList(Collector.GETMAIL, name, frozenset(uids))


def _unreadable(line: int, collector: Collector) -> UnreadableList:
    return UnreadableList(Problem(Code.FETCHED_LINE, line=line, column=1, other=collector))


_OLDMAIL = "oldmail-"
_REPLACED = re.compile(r"[/\\:;<>|]+")
"""What getmail6 does not write into a file's name."""


def _is_oldmail_of(name: str, source: Source) -> bool:
    ports = (
        {DEFAULT_PORTS[source.protocol, implicit] for implicit in (False, True)} if not source.port else {source.port}
    )
    user = _REPLACED.sub("-", source.user)
    is_imap = source.protocol is Protocol.IMAP
    owner = f"{user}-{_REPLACED.sub('.', source.folder)}" if is_imap else user
    for host, port, rest in _places_of(name):
        same_host = host.lower() == _REPLACED.sub("-", source.host) or host_key(host) == source.host
        if same_host and port in ports and rest == owner:
            return True
    return False


def _places_of(name: str) -> Iterator[tuple[str, int, str]]:
    """Server, port and the rest, in each way in which the file's name may be divided: all three may hold a hyphen."""
    if name.startswith(_OLDMAIL):
        for port in re.finditer(r"-(?=([0-9]{1,5})-.)", name[len(_OLDMAIL) :]):
            body = name[len(_OLDMAIL) :]
            yield body[: port.start()], int(port[1]), body[port.end() + len(port[1]) + 1 :]
