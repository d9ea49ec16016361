"""Letters and headers on their way: one command a letter, many of them in flight.

A letter that does not come is looked for again when no other command is in flight: a server may mix up commands that it gets
together, may leave the UID out of an answer, or may have lost the letter. What fails then, fails.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from fetchrules.errors import FetchError, ServerRefused
from fetchrules.remote.imap.conversation import ImapConversation, is_limit
from fetchrules.remote.imap.grammar import Status
from fetchrules.remote.imap.protocol import Command, Event, LetterBegan, LetterData, LetterEnded, Reply, Verb
from fetchrules.remote.mailbox import Begun, Chunk, Complete, Gone, Head, Listed, Refused, Retrieved

OCTETS_AHEAD = 16 * 1024 * 1024
"""Octets, by the sizes of the listing, that are asked for ahead; the last letter may overshoot."""

BODY, HEADER = "BODY.PEEK[]", "BODY.PEEK[HEADER]"
"""PEEK: fetching marks nothing as read."""


class Retrieval:
    """Fetches `item` of each of `letters`, which are read as they are asked for. Letters may come in another order."""

    def __init__(self, conversation: ImapConversation, letters: Iterable[Listed], item: str) -> None:
        self._conversation = conversation
        self._letters = iter(letters)
        self._item = item
        self._all_asked = False
        self.limit: FetchError | None = None
        """What keeps the server from giving any letter for now."""
        self._asked: dict[int, Listed] = {}
        """Letters whose command is unanswered."""
        self._missing: dict[int, Listed] = {}
        """Those of them of which no octet has come."""
        self._doubtful: list[Listed] = []
        """Answered, and nothing came."""
        self._looked_for: dict[int, str] = {}
        """Letters that are asked for a second time, with what the server said at the first."""
        self._current: Listed | None = None
        """The letter whose octets come, or have come and wait for the word that all is well."""
        self._began = False
        self._reading = False
        """Whether the octets that come are those of the current letter; the octets of others are dropped."""

    def events(self) -> Iterator[Retrieved]:
        """Raises FetchError; if that is a limit of the server's, all letters that were asked for and have not come are refused
        first.

        Between a letter's first event and its last one there is none of another letter.
        """
        try:
            yield from self._events()
        except FetchError as error:
            if is_limit(error):
                self.limit = error
                current = [] if self._current is None else [self._current]
                still_to_come = [*current, *self._missing.values(), *self._doubtful]
                yield from (Refused(letter, error.detail, limited=True) for letter in still_to_come)
            raise

    def _events(self) -> Iterator[Retrieved]:
        while True:
            if self.limit is not None and not self._asked:
                rest, detail = chain(self._doubtful, self._letters), self.limit.detail
                yield from (Refused(letter, detail, limited=True) for letter in rest)
                return
            if self._doubtful and not self._asked:
                letter = self._doubtful[0]
                found = self._look_for(letter)
                self._doubtful.pop(0)
                if found is None:
                    self._ask_for([letter])
                else:
                    yield found
            elif not self._doubtful and self.limit is None:
                self._ask_ahead()
            if self._asked:
                yield from self._take(self._conversation.hear())
            elif not self._doubtful and self.limit is None:
                return

    def _ask_ahead(self) -> None:
        """Ask for more once half of the window is free, so that the line never idles."""
        window = self._conversation.window
        if self._all_asked or len(self._asked) > window // 2:
            return
        some: list[Listed] = []
        octets = sum(letter.size for letter in self._asked.values())
        while len(self._asked) + len(some) < window and octets < OCTETS_AHEAD:
            letter = next(self._letters, None)
            if letter is None:
                self._all_asked = True
                break
            some.append(letter)
            octets += letter.size
        if some:
            self._ask_for(some)

    def _ask_for(self, letters: Iterable[Listed]) -> None:
        named = {letter.number: letter for letter in letters}
        self._asked |= named
        self._missing |= named
        commands = [Command(Verb.UID_FETCH, (str(uid), f"(UID {self._item})"), letters=1) for uid in named]
        self._conversation.say(commands)

    def _take(self, event: Event) -> Iterator[Retrieved]:
        match event:
            case LetterBegan(_, header) if header is not (self._item == HEADER):
                self._reading = False  # a late answer to what was asked before
            case LetterBegan(uid):
                letter = self._missing.pop(self._only_one() if uid is None else uid, None)
                self._reading = letter is not None
                if letter is not None:
                    yield from self._complete()
                    self._current, self._began = letter, False
            case LetterData(data) if self._reading and self._current is not None and data:
                if not self._began:
                    self._began = True
                    yield Begun(self._current)
                yield Chunk(self._current, data)
            case LetterEnded(uid) if self._reading and self._current is not None:
                self._reading = False
                if uid not in (None, self._current.number):
                    current, self._current = self._current, None
                    yield Refused(current, f"the server sent letter {uid} instead")
            case Reply(command, line):
                letter = self._asked.pop(int(str(command.words[0])))
                if line.status is Status.OK:
                    yield from self._answered(letter)
                else:
                    yield from self._failed(letter, self._conversation.refused(line, ServerRefused))
            case _:
                pass

    def _only_one(self) -> int:
        """The letter that an answer without a UID is about, if only one is asked for; else 0, which names none."""
        return next(iter(self._asked)) if len(self._asked) == 1 else 0

    def _complete(self) -> Iterator[Retrieved]:
        """All octets of the current letter have come. None at all would be an empty letter, deleted as collected."""
        letter, self._current = self._current, None
        if letter is None:
            return
        if self._began or not letter.size:
            if not self._began:
                yield Begun(letter)
            yield Complete(letter)
        else:
            self._missing[letter.number] = letter

    def _answered(self, letter: Listed, said: str = "") -> Iterator[Retrieved]:
        if self._current is letter:
            yield from self._complete()
        if self._missing.pop(letter.number, None) is None:
            return
        if letter.number in self._looked_for:
            yield Refused(letter, said or self._looked_for[letter.number])
        else:
            self._looked_for[letter.number] = said
            self._doubtful.append(letter)

    def _failed(self, letter: Listed, error: FetchError) -> Iterator[Retrieved]:
        limited = is_limit(error)
        if self._current is letter:
            self._current = None  # what came of it does not count
        elif not limited:
            yield from self._answered(letter, error.detail)
            return
        elif self._missing.pop(letter.number, None) is None:
            return
        if limited:
            self.limit = error
            yield from self._complete()
        yield Refused(letter, error.detail, limited=limited)

    def _look_for(self, letter: Listed) -> Retrieved | None:
        """Tell a letter that has gone from one that does not come. None: it is there, so it is to be asked for once more."""
        answer = self._conversation.ask(Command(Verb.UID_FETCH, (str(letter.number), "(UID)"), letters=1))
        if answer.ok and answer.fetched:
            return None
        error = None if answer.ok else self._conversation.refused(answer.line, ServerRefused)
        if error is not None and is_limit(error):
            self.limit = error
            return Refused(letter, error.detail, limited=True)
        if error is None or self._has_gone(letter):
            return Gone(letter)
        return Refused(letter, error.detail)

    def _has_gone(self, letter: Listed) -> bool:
        """Whether the server, which refuses to tell of the letter, does not find it. Scalix refuses letters that have gone."""
        answer = self._conversation.ask(Command(Verb.UID_SEARCH, ("UID", str(letter.number))))
        told = list(answer.values("SEARCH"))
        return answer.ok and bool(told) and not any(told)


def retrieve(conversation: ImapConversation, letters: Iterable[Listed]) -> Iterator[Retrieved]:
    """The events of `letters`."""
    return Retrieval(conversation, letters, BODY).events()


def heads(conversation: ImapConversation, letters: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | None]]:
    """Each of `letters` with at most HEAD_MAX octets of its header; None where it does not come.

    Raises FetchError where the server is over its limits: later they may come.
    """
    head, retrieval = Head(), Retrieval(conversation, letters, HEADER)
    for event in retrieval.events():
        match event:
            case Begun():
                head = Head()
            case Chunk(_, data):
                head.feed(data)
            case Complete(letter):
                yield letter, head.octets()
            case Refused() if retrieval.limit is not None:
                raise retrieval.limit
            case _:
                yield event.letter, None
