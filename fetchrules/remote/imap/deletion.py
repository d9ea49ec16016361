"""Flags and deletions of many letters at a time; refused commands are repeated by halves, so that one letter stops no other."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

from fetchrules.errors import ServerRefused
from fetchrules.remote.imap.conversation import Answer, ImapConversation, is_limit
from fetchrules.remote.imap.grammar import uid_set
from fetchrules.remote.imap.protocol import Command, Verb
from fetchrules.remote.mailbox import Listed

UIDS_AT_ONCE = 500
"""UIDs in one command; servers take lines of 8,000 octets and more."""

REFUSALS_MAX = 10
"""After so many letters are refused one by one, and none is accepted, the server is not asked again."""

_UID_MAX = 2**32 - 1


class _Outcome(Enum):
    DONE = auto()
    REFUSED = auto()
    """One of the letters may be the reason, or their number."""
    LEFT = auto()
    """Asking for fewer of them would not help."""


class Flagging:
    """Flags letters of one session. `together`: how many letters the last command named."""

    def __init__(self, conversation: ImapConversation) -> None:
        self.together = 0
        self._conversation = conversation

    def mark(self, letters: Sequence[Listed], flags: str) -> Iterator[tuple[Listed, bool]]:
        """Set `flags`; each letter, in this order, with whether the server did."""
        yield from self._by_halves(letters, lambda some: self._ask(self._store(some, flags)))

    def _by_halves(
        self, letters: Sequence[Listed], ask: Callable[[Sequence[Listed]], _Outcome]
    ) -> Iterator[tuple[Listed, bool]]:
        waiting = [letters] if letters else []
        refused, accepted = 0, False
        while waiting:
            some = waiting.pop()
            most = min(UIDS_AT_ONCE, self._conversation.most or UIDS_AT_ONCE)
            if len(some) > most:
                waiting += some[most:], some[:most]
                continue
            self.together = len(some)
            outcome = ask(some) if accepted or refused < REFUSALS_MAX else _Outcome.LEFT
            if outcome is _Outcome.REFUSED and len(some) > 1:
                waiting += some[len(some) // 2 :], some[: len(some) // 2]
                continue
            accepted = accepted or outcome is _Outcome.DONE
            refused += outcome is _Outcome.REFUSED
            yield from ((letter, outcome is _Outcome.DONE) for letter in some)

    def _store(self, letters: Sequence[Listed], flags: str) -> Command:
        return self._about(letters, Verb.UID_STORE, "+FLAGS.SILENT", flags)

    def _about(self, letters: Sequence[Listed], verb: Verb, *words: str) -> Command:
        return Command(verb, (uid_set(letter.number for letter in letters), *words), letters=len(letters))

    def _ask(self, *commands: Command) -> _Outcome:
        """Send them together. The first that is not done decides."""
        outcomes = [self._outcome(answer) for answer in self._conversation.answers(commands)]
        return next((outcome for outcome in outcomes if outcome is not _Outcome.DONE), _Outcome.DONE)

    def _outcome(self, answer: Answer) -> _Outcome:
        if answer.ok and not answer.partial:
            return _Outcome.DONE
        passing = not answer.ok and is_limit(self._conversation.refused(answer.line, ServerRefused))
        return _Outcome.LEFT if passing else _Outcome.REFUSED


class Deletion(Flagging):
    """Flags and expunges letters of one session, and no letter that somebody else has flagged."""

    def __init__(self, conversation: ImapConversation, *, uidplus: bool) -> None:
        super().__init__(conversation)
        self._uidplus = uidplus
        self._ours: set[int] = set()
        """Letters that this session was to delete: a command that is refused may have flagged some of them."""
        self._gone: set[int] = set()

    def delete(self, letters: Sequence[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Each letter, in this order, with whether the server says that it is deleted."""
        yield from self._by_halves(letters, self._delete)

    def _delete(self, letters: Sequence[Listed]) -> _Outcome:
        self._ours |= {letter.number for letter in letters}
        store = self._store(letters, "(\\Deleted)")
        if self._uidplus:
            return self._ask(store, self._about(letters, Verb.UID_EXPUNGE))
        outcome = self._ask(store)
        return outcome if outcome is not _Outcome.DONE else self._expunge(letters)

    def _expunge(self, letters: Sequence[Listed]) -> _Outcome:
        flagged = self._flagged()
        if flagged is None or not {letter.number for letter in letters} - self._gone <= flagged <= self._ours:
            # EXPUNGE would take others' letters with ours, or the answer cannot be believed: it lacks some of ours. They stay
            # flagged, and whoever expunges next takes them.
            return _Outcome.LEFT
        answer = self._conversation.ask(Command(Verb.EXPUNGE, letters=len(letters)))
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
            within = () if last - first == _UID_MAX - 1 else ("UID", f"{first}:{last}")
            answer = self._conversation.ask(Command(Verb.UID_SEARCH, (*within, "DELETED")))
            if answer.partial and first < last:
                middle = (first + last) // 2
                ranges += (first, middle), (middle + 1, last)
            elif answer.ok and not answer.partial:
                uids = (uid for some in answer.values("SEARCH") for uid in some)
                found |= {int(uid) for uid in uids if isinstance(uid, bytes) and uid.isdigit()}
            else:
                return None
        return found
