"""The answers to FETCH, and a folder's listing, which is fetched in portions because servers limit how much they list."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from fetchrules.errors import RemoteProtocolError, ServerRefused
from fetchrules.remote.imap.client import FencedImap, is_limit, refusal
from fetchrules.remote.imap.syntax import Part, Value, responses, values
from fetchrules.remote.mailbox import Listed

_SIZE_MAX = 2**62
_MONTHS = {
    name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_DATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One letter's data items, by their names in upper case. `flags` are in lower case."""

    uid: int
    items: Mapping[bytes, Value]
    flags: frozenset[bytes]

    def listed(self, before: Listed | None = None) -> Listed:
        """As a line of a listing. An absent or odd size is 0. `before` is an earlier line of the same letter."""
        size = self.items.get(b"RFC822.SIZE")
        listed = Listed(
            number=self.uid,
            uid=str(self.uid),
            size=min(int(size), _SIZE_MAX) if isinstance(size, bytes) and size.isdigit() and len(size) < 20 else 0,
            seen=b"\\seen" in self.flags,
            received=internal_date(self.items.get(b"INTERNALDATE")),
        )
        if before is None:
            return listed
        return replace(
            listed,
            size=listed.size if b"RFC822.SIZE" in self.items else before.size,
            seen=listed.seen if b"FLAGS" in self.items else before.seen,
            received=listed.received or before.received,
        )


def listing(data: Iterable[Part | None]) -> dict[int, tuple[Listed, bool]]:
    """The letters with sizes in imaplib's list, by UID, with whether they are \\Deleted; of several lines the last counts."""
    letters: dict[int, Listed] = {}
    sized: set[int] = set()
    deleted: set[int] = set()
    for one in fetched(data):
        letters[one.uid] = one.listed(letters.get(one.uid))
        if b"RFC822.SIZE" in one.items:
            sized.add(one.uid)
        if b"FLAGS" in one.items:
            (deleted.add if b"\\deleted" in one.flags else deleted.discard)(one.uid)
    return {uid: (letter, uid in deleted) for uid, letter in letters.items() if uid in sized}


def fetched(data: Iterable[Part | None]) -> Iterator[Fetched]:
    """Read imaplib's list, without answers that name no UID (flags that other clients change)."""
    for parts in responses(data):
        items = data_items(parts)
        uid, flags = items.get(b"UID"), items.get(b"FLAGS")
        if not isinstance(uid, bytes):
            continue
        if not uid.isdigit() or len(uid) > 10:
            raise RemoteProtocolError("a uid that is no number")
        known = (flag.lower() for flag in flags if isinstance(flag, bytes)) if isinstance(flags, list) else ()
        yield Fetched(int(uid), items, frozenset(known))


def data_items(parts: Sequence[Part]) -> dict[bytes, Value]:
    """Number and list, as RFC 3501 section 7.4.2 has them; the list's pairs. Raises RemoteProtocolError."""
    if len(parts) == 1 and isinstance(parts[0], bytes) and (items := _plain_items(parts[0])) is not None:
        return items
    match values(parts):
        case [bytes(), list(pairs)] if len(pairs) % 2 == 0:
            each = iter(pairs)
            return {name.upper(): value for name, value in zip(each, each, strict=True) if isinstance(name, bytes)}
        case _:
            raise RemoteProtocolError("not an answer to FETCH")


_PLAIN = re.compile(rb"[0-9]+ \((.*)\)")
# (?<![^ ]): nowhere within a word, or a long word would be tried from each of its octets on.
_PAIR = re.compile(rb'(?<![^ ])([^ ()"{}]+) (\([^()"{]*\)|"[^"\\]*"|[^ ()"{}]+)(?: |\Z)')


def _plain_items(line: bytes) -> dict[bytes, Value] | None:
    """The same for a line as listings are full of, five times as fast; None for any other."""
    found = _PLAIN.fullmatch(line)
    pairs = _PAIR.findall(found[1]) if found else []
    if found is None or sum(len(name) + len(value) + 2 for name, value in pairs) != len(found[1]) + 1:
        return None
    return {name.upper(): _plain_value(value) for name, value in pairs}


def _plain_value(value: bytes) -> Value:
    first = value[:1]
    if first == b"(":
        return [None if flag.upper() == b"NIL" else flag for flag in value[1:-1].split(b" ") if flag]
    if first == b'"':
        return value[1:-1]
    return None if value.upper() == b"NIL" else value


def internal_date(value: Value) -> datetime | None:
    """INTERNALDATE as a time; None if it is none."""
    found = _DATE.fullmatch(value) if isinstance(value, bytes) else None
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    try:
        zone, number = _zone(sign, hours, minutes), _MONTHS[month.lower()]
        return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _zone(sign: bytes, hours: bytes, minutes: bytes) -> timezone:
    return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1))


LETTERS_MAX = 200_000
"""The newest letters of a folder are listed. A larger folder takes several polls; its listing is never complete."""

PORTION = 10_000
"""Letters in one command."""

LINE_MAX = 512
"""Octets in the listing for each letter, keywords included."""

Letters = dict[int, tuple[Listed, bool]]
"""By UID, letters and whether they are flagged \\Deleted."""


def list_letters(client: FencedImap, exists: int, at_once: int | None) -> tuple[Letters, bool]:
    """The letters of a folder that has `exists` of them, at most `at_once` in a command, and whether these are all.

    By message numbers, the newest first. Letters that vanish between two portions make the list incomplete; letters that arrive
    meanwhile have higher numbers and stay out. Raises FetchError where a portion brings nothing.
    """
    for told in ("EXPUNGE", "EXISTS"):
        client.response(told)  # before we began
    found: Letters = {}
    whole = True
    last, lowest = exists, max(exists - LETTERS_MAX, 0)
    while last > lowest:
        count = min(_at_once(client, at_once), last - lowest)
        portion = _portion(client, last - count + 1, count)
        if portion is None:
            continue
        some, told_all = portion
        if not some and last == exists > count:
            # Nothing where the newest should be: there are not so many letters as the server says.
            return _from_the_first(client, exists, at_once), False
        found.update(some)
        whole, last = whole and told_all, last - count
    now = client.number("EXISTS")
    went = client.response("EXPUNGE")[1] != [None] or (now is not None and now < exists)
    return found, whole and not went


def _from_the_first(client: FencedImap, exists: int, at_once: int | None) -> Letters:
    found: Letters = {}
    first = 1
    while first <= min(exists, LETTERS_MAX):
        count = min(_at_once(client, at_once), exists - first + 1)
        portion = _portion(client, first, count)
        if portion is None:
            continue
        some, _ = portion
        if not some:
            break
        found.update(some)
        first += count
    return found


def _at_once(client: FencedImap, at_once: int | None) -> int:
    return min(PORTION, at_once or PORTION, client.most or PORTION)


def _portion(client: FencedImap, first: int, count: int) -> tuple[Letters, bool] | None:
    """`count` letters from the `first` on, and whether these are all; None where fewer have to be asked for.

    After a NO (Gmail) or BAD (Exchange) for one letter the others count. Raises FetchError without any letter, or at a limit.
    """
    client.response("FETCH")  # what was told unasked
    answer = client.run(
        lambda: client.fetch(f"{first}:{first + count - 1}", "(UID FLAGS INTERNALDATE RFC822.SIZE)"),
        octets=LINE_MAX * (count + 1000),
        lines=2 * count + 1000,
        bad_is_no=True,
        patiently="FETCH",
    )
    found = listing(answer.data if answer.ok else client.response("FETCH")[1])
    if answer.partial and len(found) < count and client.most is not None and client.most < count:
        return None
    if not answer.ok:
        error = refusal(answer.words, ServerRefused)
        if not found or is_limit(error):
            raise error
    return found, answer.ok and not answer.partial
