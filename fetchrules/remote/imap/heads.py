"""The headers of letters alone, many in one command."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from fetchrules.remote.imap.asking import LETTERS_AT_ONCE, PIECE, ask, batches, fewer
from fetchrules.remote.imap.client import FencedImap
from fetchrules.remote.mailbox import HEAD_MAX, Listed

_AT_ONCE = 4 * PIECE
"""Octets that the headers of one command may have."""


def heads(client: FencedImap, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
    """Each of `letters` with at most HEAD_MAX octets of its header; None where it does not come. BODY.PEEK marks nothing.

    Raises FetchError where the session breaks, and where the server is over its limits: later they may come.
    """
    for batch in batches(client, letters, LETTERS_AT_ONCE, _octets, _AT_ONCE):
        yield from _together(client, batch)


def _octets(letter: Listed) -> int:
    return min(letter.size or HEAD_MAX, HEAD_MAX)


def _together(client: FencedImap, batch: Sequence[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
    partial = f"<0.{HEAD_MAX}>" if any(_octets(letter) == HEAD_MAX for letter in batch) else ""
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
            yield from _together(client, part)
