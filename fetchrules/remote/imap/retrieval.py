"""How letters are fetched: small ones many at a time, large ones piece by piece, so that little is in memory at once."""

from collections.abc import Iterable, Iterator, Sequence

from fetchrules.errors import RemoteProtocolError, ServerRefused
from fetchrules.remote.imap.client import Answer, FencedImap
from fetchrules.remote.imap.fetched import fetched
from fetchrules.remote.imap.refusals import refusal
from fetchrules.remote.imap.syntax import uid_set
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Listed, Refused, Retrieved

PIECE = 1024 * 1024
"""Octets asked for at a time; about what a session holds in memory."""

LETTERS_AT_ONCE = 250

ANSWER_MAX = 16 * PIECE
"""Octets in an answer. Some servers only guess at the sizes of their letters."""

LINES_MAX = 20 * LETTERS_AT_ONCE
"""Lines in an answer, those of the letters not counted."""


def retrieve(client: FencedImap, letters: Iterable[Listed], *, trusting: bool = True) -> Iterator[Retrieved]:
    """The events for `letters`, in their order. BODY.PEEK: fetching marks nothing as read.

    `trusting`: small ones come together. Else each comes in pieces, so that its size need not be believed.
    """
    for batch in _batches(letters) if trusting else ([letter] for letter in letters):
        if not trusting or _goes_alone(batch[0]):
            yield from _in_pieces(client, batch[0])
        else:
            yield from _together(client, batch)


def _batches(letters: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Runs of letters for one command."""
    batch: list[Listed] = []
    octets = 0
    for letter in letters:
        size = PIECE + 1 if _goes_alone(letter) else letter.size
        if batch and (octets + size > PIECE or len(batch) == LETTERS_AT_ONCE):
            yield batch
            batch, octets = [], 0
        batch.append(letter)
        octets += size
    if batch:
        yield batch


def _goes_alone(letter: Listed) -> bool:
    """A large one, and one of no known size: it may be large, and many of them more than an answer may hold."""
    return not 0 < letter.size <= PIECE


def _together(client: FencedImap, batch: Sequence[Listed]) -> Iterator[Retrieved]:
    answer = _fetch(client, batch, "(UID BODY.PEEK[])")
    if not answer.ok and len(batch) > 1:
        # One letter that cannot be had shall not keep back its neighbours.
        for letter in batch:
            yield from _together(client, [letter])
        return
    found = fetched(answer.data) if answer.ok else ()
    bodies = {one.uid: one.items[b"BODY[]"] for one in found if b"BODY[]" in one.items}
    for letter in batch:
        body = bodies.get(letter.number)
        if isinstance(body, bytes) and body:
            yield Begun(letter)
            yield Chunk(body)
            yield Complete(letter)
        else:
            # A letter of some size that comes empty has not come: taken for whole, it would be deleted.
            yield _not_had(client, letter, answer)


def _in_pieces(client: FencedImap, letter: Listed) -> Iterator[Retrieved]:
    first = _fetch_piece(client, letter, 0)
    piece = _piece(first, letter, 0)
    if piece is None or (letter.size and not piece):
        yield _not_had(client, letter, first)
        return
    yield Begun(letter)
    yield from _chunks(client, letter, piece)
    yield Complete(letter)


def _chunks(client: FencedImap, letter: Listed, piece: bytes) -> Iterator[Chunk]:
    """All of a letter whose first piece is `piece`. Raises ServerRefused where it is in doubt whether that is all.

    RFC 3501 section 6.4.5: what lies beyond the end is cut off, so a piece shorter than asked for should be the last. But some
    servers send less than that each time, and others only guess at sizes. So it is the last where the letter then has just the
    size that was told; and elsewhere only if the server, asked again from the last octet on, has that octet and no more. One
    that has lost the letter, or will not go on, has not even that.

    Where it told of more, the last piece must moreover be a short one, be it by the server's own measure: a letter that is over
    at the end of a full piece has been cut to some round size.
    """
    offset, longest = len(piece), 0
    yield Chunk(piece)
    while len(piece) == PIECE or offset != letter.size:
        answer = _fetch_piece(client, letter, offset - 1)
        more = _piece(answer, letter, offset - 1) or b""
        # A server that gives one octet at a time could not show us another.
        ends = len(more) == 1 < len(piece) and (offset >= letter.size or len(piece) < (longest or PIECE))
        if more[:1] != piece[-1:] or (len(more) == 1 and not ends):
            doubt = f"nothing more came after {offset} of {letter.size} octets"
            raise ServerRefused(doubt) if answer.ok else refusal(answer.words, ServerRefused)
        if ends:
            return
        yield Chunk(more[1:])
        offset, longest, piece = offset + len(more) - 1, max(longest, len(piece)), more


def _fetch_piece(client: FencedImap, letter: Listed, offset: int) -> Answer:
    return _fetch(client, [letter], f"(UID BODY.PEEK[]<{offset}.{PIECE}>)")


def _piece(answer: Answer, letter: Listed, offset: int) -> bytes | None:
    """The piece that was asked for; None if the letter has gone, or cannot be had. Raises RemoteProtocolError."""
    name = b"BODY[]<%d>" % offset
    for one in fetched(answer.data) if answer.ok else ():
        if one.uid == letter.number and name in one.items:
            piece = one.items[name]
            if isinstance(piece, bytes):
                if len(piece) > PIECE:
                    raise RemoteProtocolError("a piece of more octets than were asked for")
                return piece
            return None  # NIL: nothing there (any more)
    return None


def _not_had(client: FencedImap, letter: Listed, answer: Answer) -> Refused | Gone:
    """Why `answer` has not brought the letter: it is asked for once more, by its name alone."""
    there = _fetch(client, [letter], "(UID)")
    if there.ok and all(one.uid != letter.number for one in fetched(there.data)):
        return Gone(letter)
    return Refused(letter, "" if answer.ok else answer.words)


def _fetch(client: FencedImap, letters: Sequence[Listed], items: str) -> Answer:
    client.response("FETCH")  # what was left behind by a command that failed
    uids = uid_set(letter.number for letter in letters)
    return client.run(lambda: client.uid("FETCH", uids, items), ANSWER_MAX, LINES_MAX, bad_is_no=True)
