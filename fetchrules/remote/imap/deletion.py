"""Flags and deletions of many letters at a time; refused commands are repeated by halves, so that one letter stops no other."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

from fetchrules.errors import ServerRefused
from fetchrules.remote.imap.client import Answer, FencedImap, is_limit, refusal
from fetchrules.remote.imap.syntax import uid_set
from fetchrules.remote.mailbox import Listed

UIDS_AT_ONCE = 500
"""UIDs in one command; servers take lines of 8,000 octets and more."""

REFUSALS_MAX = 10
"""After so many letters are refused one by one, and none is accepted, the server is not asked again."""

_LINES_MAX = 1000 + 4 * UIDS_AT_ONCE
"""Lines in an answer; Exchange sends EXISTS again after each letter that it expunges."""

_UID_MAX = 2**32 - 1


class _Outcome(Enum):
    DONE = auto()
    REFUSED = auto()
    """One of the letters may be the reason, or their number."""
    LEFT = auto()
    """Asking for fewer of them would not help."""


def _outcome(answer: Answer) -> _Outcome:
    if answer.ok and not answer.partial:
        return _Outcome.DONE
    passing = is_limit(refusal(answer.words, ServerRefused))
    return _Outcome.LEFT if passing and not answer.ok else _Outcome.REFUSED


def mark(client: FencedImap, letters: Sequence[Listed], flags: str) -> Iterator[tuple[Listed, bool]]:
    """Set `flags`; each letter, in this order, with whether the server did."""
    yield from _by_halves(client, letters, lambda some: _store(client, some, flags))


def _by_halves(
    client: FencedImap, letters: Sequence[Listed], ask: Callable[[Sequence[Listed]], _Outcome]
) -> Iterator[tuple[Listed, bool]]:
    waiting = [letters] if letters else []
    refused, accepted = 0, False
    while waiting:
        some = waiting.pop()
        most = min(UIDS_AT_ONCE, client.most or UIDS_AT_ONCE)
        if len(some) > most:
            waiting += some[most:], some[:most]
            continue
        outcome = ask(some) if accepted or refused < REFUSALS_MAX else _Outcome.LEFT
        if outcome is _Outcome.REFUSED and len(some) > 1:
            waiting += some[len(some) // 2 :], some[: len(some) // 2]
            continue
        accepted = accepted or outcome is _Outcome.DONE
        refused += outcome is _Outcome.REFUSED
        yield from ((letter, outcome is _Outcome.DONE) for letter in some)


def _store(client: FencedImap, letters: Sequence[Listed], flags: str) -> _Outcome:
    return _run(client, letters, "STORE", "+FLAGS.SILENT", flags)


def _run(client: FencedImap, letters: Sequence[Listed], command: str, *arguments: str) -> _Outcome:
    words = command, uid_set(letter.number for letter in letters), *arguments
    return _outcome(client.run(lambda: client.uid(*words), lines=_LINES_MAX, letters=len(letters), bad_is_no=True))


class Deletion:
    """Flags and expunges letters of one session, and no letter that somebody else has flagged."""

    def __init__(self, client: FencedImap, *, uidplus: bool) -> None:
        self._client = client
        self._uidplus = uidplus
        self._ours: set[int] = set()
        """Letters that this session was to delete: a command that is refused may have flagged some of them."""
        self._gone: set[int] = set()

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Each letter, in this order, with whether the server says that it is deleted."""
        yield from _by_halves(self._client, letters, self._delete)

    def _delete(self, letters: Sequence[Listed]) -> _Outcome:
        self._ours |= {letter.number for letter in letters}
        outcome = _store(self._client, letters, "(\\Deleted)")
        if outcome is not _Outcome.DONE:
            return outcome
        # UID EXPUNGE: RFC 4315
        return _run(self._client, letters, "EXPUNGE") if self._uidplus else self._expunge(letters)

    def _expunge(self, letters: Sequence[Listed]) -> _Outcome:
        client, flagged = self._client, self._flagged()
        if flagged is None or not {letter.number for letter in letters} - self._gone <= flagged <= self._ours:
            # EXPUNGE would take others' letters with ours, or the answer cannot be believed: it lacks some of ours. They stay
            # flagged, and whoever expunges next takes them.
            return _Outcome.LEFT
        answer = client.run(client.expunge, lines=_LINES_MAX, letters=len(letters), bad_is_no=True)
        if not answer.ok or answer.partial:
            return _Outcome.LEFT
        self._gone |= flagged
        return _Outcome.DONE

    def _flagged(self) -> set[int] | None:
        """The UIDs of all letters that are flagged \\Deleted, by whomever; None where the server does not tell of all.

        One that looks only at so many letters in a command is asked for the halves of the range of UIDs.
        """
        found, ranges = set[int](), [(1, _UID_MAX)]
        while ranges:
            first, last = ranges.pop()
            answer = self._search(*(() if last - first == _UID_MAX - 1 else ("UID", f"{first}:{last}")), "DELETED")
            if answer.partial and first < last:
                middle = (first + last) // 2
                ranges += (first, middle), (middle + 1, last)
            elif answer.ok and not answer.partial:
                found |= {int(uid) for line in answer.data if line for uid in line.split() if uid.isdigit()}
            else:
                return None
        return found

    def _search(self, *criteria: str) -> Answer:
        return self._client.run(lambda: self._client.uid("SEARCH", *criteria), bad_is_no=True)
