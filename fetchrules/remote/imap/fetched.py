"""What a server tells of its letters: the answers to FETCH."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.imap.syntax import Part, Value, responses, values
from fetchrules.remote.mailbox import Listed

_SIZE_MAX = 2**62
_MONTHS = {
    name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_DATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One letter's data items, by their names in upper case."""

    uid: int
    items: dict[bytes, Value]

    @property
    def flags(self) -> frozenset[bytes]:
        """Its flags in lower case."""
        flags = self.items.get(b"FLAGS")
        return (
            frozenset(flag.lower() for flag in flags if isinstance(flag, bytes))
            if isinstance(flags, list)
            else frozenset()
        )

    def listed(self) -> Listed:
        """It as a line of a listing. An absent or odd size is 0: sizes are hints."""
        size = self.items.get(b"RFC822.SIZE")
        return Listed(
            number=self.uid,
            uid=str(self.uid),
            size=min(int(size), _SIZE_MAX) if isinstance(size, bytes) and size.isdigit() and len(size) < 20 else 0,
            seen=b"\\seen" in self.flags,
            received=internal_date(self.items.get(b"INTERNALDATE")),
        )


def fetched(data: Iterable[Part | None]) -> Iterator[Fetched]:
    """Read imaplib's list. Answers that name no letter by its uid (others' changes of flags) are passed over."""
    for parts in responses(data):
        letter = _fetched(values(parts))
        if letter is not None:
            yield letter


def _fetched(answer: list[Value]) -> Fetched | None:
    """From number and list, as RFC 3501 section 7.4.2 has them. Raises RemoteProtocolError."""
    if len(answer) != 2 or not isinstance(answer[1], list) or len(answer[1]) % 2:
        raise RemoteProtocolError("not an answer to FETCH")
    pairs = iter(answer[1])
    items = {name.upper(): value for name, value in zip(pairs, pairs, strict=True) if isinstance(name, bytes)}
    uid = items.get(b"UID")
    if not isinstance(uid, bytes):
        return None
    if not uid.isdigit() or len(uid) > 10:
        raise RemoteProtocolError("a uid that is no number")
    return Fetched(int(uid), items)


def internal_date(value: Value) -> datetime | None:
    """INTERNALDATE as a time; None if it is none."""
    found = _DATE.fullmatch(value) if isinstance(value, bytes) else None
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1)
    try:
        zone = timezone(offset)
        number = _MONTHS[month.lower()]
        return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
