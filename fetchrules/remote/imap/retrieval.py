"""How letters are fetched: small ones and headers many at a time, large ones piece by piece, so that little is in memory.

A server that cannot give one letter may answer NO or BAD, send nonsense, or hang up. Answers are therefore read letter by
letter: whole letters are kept, and the others are asked for again, fewer at a time.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fetchrules.errors import ConnectionLost, FetchError, RemoteProtocolError, ServerRefused, TimedOut
from fetchrules.remote.imap.client import FencedImap, is_limit, refusal
from fetchrules.remote.imap.fetched import fetched
from fetchrules.remote.imap.syntax import Part, Value, responses, uid_set
from fetchrules.remote.mailbox import HEAD_MAX, Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved

PIECE = 1024 * 1024
"""Octets asked for at a time; about what a session holds in memory."""

LETTERS_AT_ONCE = 250

ANSWER_MAX = 16 * PIECE
"""Octets in an answer. Some servers only guess at the sizes of their letters."""

LINES_MAX = 20 * LETTERS_AT_ONCE
"""Lines in an answer, those of the letters not counted."""


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """`parts` came, by UID. `trouble` is why others may be missing; without it there are no more. `over`: the session broke."""

    parts: dict[int, bytes]
    trouble: FetchError | None = None
    over: bool = False

    @property
    def limit(self) -> FetchError | None:
        """The trouble, where it concerns all letters."""
        return self.trouble if is_limit(self.trouble) else None

    def __contains__(self, letter: Listed) -> bool:
        """Whether octets of `letter` came: an empty letter would be deleted as collected."""
        return bool(self.parts.get(letter.number))

    def require_session(self) -> None:
        """Raise the trouble where the session is over."""
        if self.over and self.trouble is not None:
            raise self.trouble


def ask(client: FencedImap, letters: Sequence[Listed], items: str, *names: bytes) -> FetchAnswer:
    """FETCH `items` of `letters`, which the answer calls one of `names`. Raises FetchError where nothing of it can be trusted."""
    client.response("FETCH")  # what was left behind by a command that failed
    command = "FETCH", uid_set(letter.number for letter in letters), items
    try:
        answer = client.run(lambda: client.uid(*command), ANSWER_MAX, LINES_MAX, letters=len(letters), bad_is_no=True)
    except FetchError as error:
        if not is_limit(error) and not isinstance(error, ConnectionLost | TimedOut):
            raise
        parts, _ = _read(client.response("FETCH")[1], names)
        return FetchAnswer(parts, error, over=True)
    parts, nonsense = _read(answer.data if answer.ok else client.response("FETCH")[1], names)
    if answer.ok:
        return FetchAnswer(
            parts, nonsense or (ServerRefused("more letters than the server's limit") if answer.partial else None)
        )
    if len(parts) == len(letters):
        # The refusal is about one of them. Servers that break off do so at the last one.
        parts.pop(letters[-1].number, None)
    return FetchAnswer(parts, refusal(answer.words, ServerRefused))


def _read(data: Iterable[Part | None], names: Sequence[bytes]) -> tuple[dict[int, bytes], RemoteProtocolError | None]:
    """The values of `names` by UID, and the error where something was no answer to FETCH."""
    told: dict[int, Value] = {}
    nonsense = None
    for response in responses(data):
        try:
            for one in fetched(response):
                told.update((one.uid, one.items[name]) for name in names if name in one.items)
        except RemoteProtocolError as error:
            nonsense = error
    return {uid: part for uid, part in told.items() if isinstance(part, bytes)}, nonsense


def batches(
    client: FencedImap, letters: Iterable[Listed], at_once: int, octets: Callable[[Listed], int], room: int
) -> Iterator[list[Listed]]:
    """Runs of letters for one command: at most `at_once` and `room` octets, or one larger letter. Takes no letter too early."""
    batch: list[Listed] = []
    total = 0
    for letter in letters:
        size = octets(letter)
        if batch and total + size > room:
            yield batch
            batch, total = [], 0
        batch.append(letter)
        total += size
        if total >= room or len(batch) >= min(at_once, client.most or at_once):
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def fewer(missing: Sequence[Listed], of: Sequence[Listed]) -> list[Sequence[Listed]]:
    """The commands that ask again for the letters that are `missing`: one, or two halves where they are all `of` it."""
    middle = len(missing) // 2
    return [missing] if len(missing) < len(of) else [missing[:middle], missing[middle:]]


Events = Generator[Retrieved, None, FetchError | None]
"""Yields what happens; returns the limit for which the server gives no more letters, if any."""


_HEADERS_OCTETS = 4 * PIECE
"""Octets that the headers of one command may have."""


def retrieve(
    client: FencedImap, letters: Iterable[Listed], at_once: int = LETTERS_AT_ONCE, *, trusting: bool = True
) -> Iterator[Retrieved]:
    """The events for `letters`, in their order. BODY.PEEK: fetching marks nothing as read.

    `trusting`: small ones come together, at most `at_once`. Else each comes in pieces, so that its size need not be believed.
    Once the server is over its limits, nothing more is asked for: every letter that is still handed out is refused.
    """
    limit: FetchError | None = None
    for batch in batches(client, letters, at_once if trusting else 1, _octets, PIECE):
        limit = yield from _fetch(client, batch, limit, trusting=trusting)
    if limit is not None and client.closed:
        raise limit


def _octets(letter: Listed) -> int:
    """Letters of unknown size count as large."""
    return letter.size if 0 < letter.size <= PIECE else PIECE + 1


def _fetch(client: FencedImap, batch: Sequence[Listed], limit: FetchError | None, *, trusting: bool = True) -> Events:
    if limit is not None:
        return (yield from _limited(batch, limit))
    if trusting and _octets(batch[0]) <= PIECE:
        return (yield from _together(client, batch))
    return (yield from _in_pieces(client, batch[0]))


def _limited(letters: Iterable[Listed], limit: FetchError) -> Events:
    for letter in letters:
        yield Refused(letter, limit.detail, limited=True)
    return limit


def _together(client: FencedImap, batch: Sequence[Listed]) -> Events:
    told = ask(client, batch, "(UID BODY.PEEK[])", b"BODY[]")
    limit = told.limit
    for has_come, run in groupby(batch, key=told.__contains__):
        some = list(run)
        if has_come:
            for letter in some:
                yield Begun(letter)
                yield Chunk(letter, told.parts[letter.number])
                yield Complete(letter)
        elif limit is not None:
            yield from _limited(some, limit)
        else:
            limit = yield from _missing(client, some, batch, told)
    return limit


def _missing(client: FencedImap, some: Sequence[Listed], batch: Sequence[Listed], told: FetchAnswer) -> Events:
    """Ask again for `some`, which did not come with the other letters of `batch`."""
    if told.over:
        client.together = len(batch) - batch.index(some[0])
    told.require_session()
    if told.trouble is None or len(batch) == 1:
        return (yield from _not_had(client, some, told))
    limit: FetchError | None = None
    for part in fewer(some, batch):
        limit = yield from _fetch(client, part, limit)
    return limit


def _not_had(client: FencedImap, letters: Sequence[Listed], told: FetchAnswer) -> Events:
    """Tell missing letters from refused ones: ask once more, for their UIDs alone."""
    there = told if told.limit else ask(client, letters, "(UID)", b"UID")
    if there.limit is not None:
        return (yield from _limited(letters, there.limit))
    there.require_session()
    for letter in letters:
        if there.trouble is None and letter not in there:
            yield Gone(letter)
        else:
            yield Refused(letter, told.trouble.detail if told.trouble else "")
    return None


def _in_pieces(client: FencedImap, letter: Listed) -> Events:
    told = _piece(client, letter, 0)
    piece = told.parts.get(letter.number)
    if piece is None or (letter.size and not piece):
        return (yield from _not_had(client, [letter], told))
    yield Begun(letter)
    doubt = yield from _pieces(client, letter, piece)
    if doubt is None:
        yield Complete(letter)
    elif doubt.limit is not None:
        return (yield from _limited([letter], doubt.limit))
    elif doubt.trouble is not None:
        yield Refused(letter, doubt.trouble.detail)
    else:
        yield Complete(letter, doubtful=True)
    return None


def _pieces(client: FencedImap, letter: Listed, piece: bytes) -> Generator[Chunk, None, FetchAnswer | None]:
    """All of a letter whose first piece is `piece`; then the answer that leaves it in doubt whether that is all, None: it is.

    RFC 3501 section 6.4.5: what lies beyond the end is cut off, so a piece shorter than asked for should be the last. But some
    servers send less than that each time, and others only guess at sizes. So it is the last where the letter then has just the
    size that was told; and elsewhere only if the server, asked again from the last octet on, has that octet and no more. One
    that has lost the letter, or will not go on, has not even that.

    Where it told of more, the last piece must moreover be a short one, be it by the server's own measure: a letter that is over
    at the end of a full piece has been cut to some round size.
    """
    offset, longest = len(piece), 0
    yield Chunk(letter, piece)
    while len(piece) == PIECE or offset != letter.size:
        told = _piece(client, letter, offset - 1)
        more = told.parts.get(letter.number, b"")
        # A server that gives one octet at a time could not show us another.
        ends = len(more) == 1 < len(piece) and (offset >= letter.size or len(piece) < (longest or PIECE))
        if more[:1] != piece[-1:] or (len(more) == 1 and not ends):
            return told
        if ends:
            break
        yield Chunk(letter, more[1:])
        offset, longest, piece = offset + len(more) - 1, max(longest, len(piece)), more
    return None


def _piece(client: FencedImap, letter: Listed, offset: int) -> FetchAnswer:
    """The piece that begins at `offset`, if it comes. Raises FetchError where the session breaks, unless by a limit."""
    told = ask(client, [letter], f"(UID BODY.PEEK[]<{offset}.{PIECE}>)", b"BODY[]<%d>" % offset)
    if told.limit is None:
        told.require_session()
    if len(told.parts.get(letter.number, b"")) > PIECE:
        return FetchAnswer({}, RemoteProtocolError("a piece of more octets than were asked for"))
    return told


def heads(client: FencedImap, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
    """Each of `letters` with at most HEAD_MAX octets of its header; None where it does not come. BODY.PEEK marks nothing.

    Raises FetchError where the session breaks, and where the server is over its limits: later they may come.
    """
    for batch in batches(client, letters, LETTERS_AT_ONCE, _header_octets, _HEADERS_OCTETS):
        yield from _headers_together(client, batch)


def _header_octets(letter: Listed) -> int:
    return min(letter.size or HEAD_MAX, HEAD_MAX)


def _headers_together(client: FencedImap, batch: Sequence[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
    partial = f"<0.{HEAD_MAX}>" if any(_header_octets(letter) == HEAD_MAX for letter in batch) else ""
    told = ask(client, batch, f"(UID BODY.PEEK[HEADER]{partial})", b"BODY[HEADER]", b"BODY[HEADER]<0>")
    for has_come, run in groupby(batch, key=told.__contains__):
        some = list(run)
        if has_come:
            yield from ((letter, told.parts[letter.number][:HEAD_MAX]) for letter in some)
            continue
        if told.over:
            client.together = len(batch) - batch.index(some[0])
        if told.limit is not None:
            raise told.limit
        told.require_session()
        if told.trouble is None or len(batch) == 1:
            yield from ((letter, None) for letter in some)
            continue
        for part in fewer(some, batch):
            yield from _headers_together(client, part)
