"""One FETCH for many letters, and what it brings of which of them.

One letter that a server cannot give must not take others with it. Servers end such an answer with NO or BAD, with or without
the letters before it; or say nonsense of that letter alone; or hang up. So an answer is read letter by letter. Those that came
whole are kept, and the others are asked for again, fewer at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fetchrules.errors import ConnectionLost, FetchError, RemoteProtocolError, ServerRefused, TimedOut
from fetchrules.remote.imap.client import FencedImap
from fetchrules.remote.imap.fetched import fetched
from fetchrules.remote.imap.refusals import is_limit, refusal
from fetchrules.remote.imap.syntax import Part, Value, responses, uid_set
from fetchrules.remote.mailbox import Listed

PIECE = 1024 * 1024
"""Octets asked for at a time; about what a session holds in memory."""

LETTERS_AT_ONCE = 250

ANSWER_MAX = 16 * PIECE
"""Octets in an answer. Some servers only guess at the sizes of their letters."""

LINES_MAX = 20 * LETTERS_AT_ONCE
"""Lines in an answer, those of the letters not counted."""


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """What was asked for, by UID, of the letters of which it came. `trouble`: why it may not have come of the others.

    Without `trouble` the server says that this is all it has. `over`: the session broke meanwhile.
    """

    parts: dict[int, bytes]
    trouble: FetchError | None = None
    over: bool = False

    @property
    def limit(self) -> FetchError | None:
        """The trouble, where the server would give no letter at all."""
        return self.trouble if is_limit(self.trouble) else None

    def __contains__(self, letter: Listed) -> bool:
        """Whether something came of `letter`. No octets are none: a letter that comes empty would be deleted as collected."""
        return bool(self.parts.get(letter.number))

    def require_session(self) -> None:
        """Raise the trouble where the session is over."""
        if self.over and self.trouble is not None:
            raise self.trouble


def ask(client: FencedImap, letters: Sequence[Listed], items: str, *names: bytes) -> FetchAnswer:
    """FETCH `items` of `letters`; the answer has them as one of `names`.

    Raises FetchError where the session broke and nothing that came before is to be trusted.
    """
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
    """By UID, what is told under one of `names`; and the complaint where something was no answer to FETCH."""
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
    """Runs of letters for one command: at most `at_once`, and `room` octets but for a single letter that has more.

    No letter is taken from `letters` while the ones before it fill a command.
    """
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
    """How to ask again for those that are `missing` `of` a command: together, and by halves where they were all of it."""
    middle = len(missing) // 2
    return [missing] if len(missing) < len(of) else [missing[:middle], missing[middle:]]
