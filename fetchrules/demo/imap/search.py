"""SEARCH (RFC 3501 §6.4.4)."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime

from fetchrules.demo.imap.items import header
from fetchrules.demo.imap.syntax import DEPTH_MAX, Bad, Token, calendar_date, chosen, is_set
from fetchrules.demo.maildrop import Held


@dataclass(frozen=True, slots=True)
class Candidate:
    """A letter that is or is not what is sought. `read` gives its text."""

    number: int
    letter: Held
    read: Callable[[], bytes]

    def fields(self, name: str) -> list[str]:
        """What the header fields of that name say."""
        message = message_from_bytes(header(self.read()), EmailMessage, policy=default)
        return [str(value) for value in message.get_all(name, [])]

    def sent(self) -> date:
        """The date in its header, or when it came."""
        try:
            return parsedate_to_datetime("".join(self.fields("Date")[:1])).date()
        except ValueError:
            return self.came()

    def came(self) -> date:
        """The date of its arrival."""
        return self.letter.received.astimezone(UTC).date()


Test = Callable[[Candidate], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
    "RECENT": "\\Recent",
}
_COMPARED = {"BEFORE": operator.lt, "ON": operator.eq, "SINCE": operator.ge}
_FIELDS = ("BCC", "CC", "FROM", "SUBJECT", "TO")


class Criteria:
    """The keys of one SEARCH, as a test that letters pass or not. No letter is ever recent here."""

    def __init__(self, keys: Sequence[Token], numbers: Sequence[int], uids: Sequence[int], depth: int = 0) -> None:
        """`numbers` and `uids` are those of the folder. Raises Bad."""
        if not keys or depth > DEPTH_MAX:
            raise Bad("no search keys, or too deep ones")
        self._rest = list(reversed(keys))
        self._numbers, self._uids = numbers, uids
        self._tests: list[Test] = []
        while self._rest:
            self._tests.append(self._test(depth))

    def met_by(self, letter: Candidate) -> bool:
        """Whether the letter is what is sought: whether it passes all tests."""
        return all(test(letter) for test in self._tests)

    def _test(self, depth: int) -> Test:
        """That of the next key, which may be made of others."""
        if depth > DEPTH_MAX:
            raise Bad("too deep search keys")
        key = self._next()
        if isinstance(key, list):
            return Criteria(key, self._numbers, self._uids, depth + 1).met_by
        match key.upper():
            case "ALL" | "OLD":
                return lambda _: True
            case "NEW":
                return lambda _: False
            case "NOT":
                test = self._test(depth + 1)
                return lambda one: not test(one)
            case "OR":
                either, other = self._test(depth + 1), self._test(depth + 1)
                return lambda one: either(one) or other(one)
            case "UID":
                uids = frozenset(chosen(self._text(), self._uids))
                return lambda one: one.letter.uid in uids
            case name:
                return self._of_numbers(name) or self._of_flag(name) or self._of_measure(name) or self._of_text(name)

    def _of_numbers(self, name: str) -> Test | None:
        if not is_set(name):
            return None
        numbers = frozenset(chosen(name, self._numbers))
        return lambda one: one.number in numbers

    def _of_flag(self, name: str) -> Test | None:
        plain = name.removeprefix("UN")
        flag = self._text() if plain == "KEYWORD" else _FLAGS.get(plain)
        if flag is None:
            return None
        return lambda one: (flag in one.letter.flags) is (plain == name)

    def _of_measure(self, name: str) -> Test | None:
        """Of size or date."""
        compare = _COMPARED.get(name.removeprefix("SENT"))
        if compare is not None:
            day = calendar_date(self._text())
            return lambda one: compare(one.sent() if name.startswith("SENT") else one.came(), day)
        if name not in {"LARGER", "SMALLER"}:
            return None
        octets = self._text()
        if not (octets.isascii() and octets.isdigit() and len(octets) <= 10):
            raise Bad("not a number of octets")
        larger = name == "LARGER"
        return lambda one: one.letter.size > int(octets) if larger else one.letter.size < int(octets)

    def _of_text(self, name: str) -> Test:
        if name not in {"BODY", "HEADER", "TEXT", *_FIELDS}:
            raise Bad("no such search key")
        field = self._text() if name == "HEADER" else name
        sought = self._text().casefold()
        if name in {"BODY", "TEXT"}:
            return lambda one: sought in _as_read(one.read(), with_header=name == "TEXT").casefold()
        return lambda one: any(sought in said.casefold() for said in one.fields(field))

    def _next(self) -> Token:
        if not self._rest:
            raise Bad("a search key lacks its argument")
        return self._rest.pop()

    def _text(self) -> str:
        token = self._next()
        if not isinstance(token, str):
            raise Bad("a search key with a list for its argument")
        return token


def _as_read(text: bytes, *, with_header: bool) -> str:
    """What a reader sees: words decoded, attachments left out."""
    message = message_from_bytes(text, EmailMessage, policy=default)
    words = [f"{name}: {value}" for name, value in message.items()] if with_header else []
    words += [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join(words)
