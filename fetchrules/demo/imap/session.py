"""What an IMAP client may do that has logged in: the authenticated state and the selected state (RFC 3501 §6.3, §6.4)."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from fetchrules.demo.imap.selected import Selected
from fetchrules.demo.imap.syntax import Bad, Refusal, Token, quoted, strings
from fetchrules.demo.maildrop import INBOX, SEEN, Mailbox, Maildrop

Tell = Callable[..., None]
"""Sends untagged responses, str or octets."""

Answer = Callable[[list[Token]], None]
"""Does what a command says, and tells what is to be told. Raises Bad, Refusal."""

_OPENING = {"SELECT", "EXAMINE"}
_KEEP_NUMBERS = {"FETCH", "STORE", "SEARCH"}
"""Commands in which no EXPUNGE may be told (RFC 3501 §7.4.1)."""

_FIXED = ("APPEND", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE")
_IMMOVABLE = ("COPY", "UID COPY")


class Session:
    """The mailbox of a user, and its folder that is selected."""

    def __init__(self, mailbox: Mailbox, tell: Tell) -> None:
        self._mailbox = mailbox
        self._tell = tell
        self._folder: Selected | None = None
        self._authenticated: dict[str, Answer] = {
            "EXAMINE": partial(self._select, read_only=True),
            "LIST": partial(self._list, "LIST"),
            "LSUB": partial(self._list, "LSUB"),
            "SELECT": partial(self._select, read_only=False),
            "STATUS": self._status,
            **dict.fromkeys(_FIXED, _refuse),
        }

    def answer(self, verb: str, arguments: list[Token]) -> str:
        """Obey, and return what the command's last line says. Raises Bad, Refusal."""
        commands = self._authenticated | (self._selected(self._folder) if self._folder is not None else {})
        if verb not in commands:
            raise Bad("no such command, or select a folder first")
        commands[verb](arguments)
        if verb in _OPENING:
            return "OK [READ-WRITE] selected" if verb == "SELECT" else "OK [READ-ONLY] selected"
        return "OK done"

    def news(self, verb: str) -> Iterator[bytes]:
        """What is to be told of the selected folder at the end of this command; nothing where that was just done."""
        if self._folder is not None and verb not in _OPENING:
            yield from self._folder.news(renumber=verb not in _KEEP_NUMBERS)

    def _selected(self, folder: Selected) -> dict[str, Answer]:
        return {
            "CHECK": lambda _: None,
            "CLOSE": lambda _: self._leave(folder, expunge=not folder.read_only),
            "EXPUNGE": lambda arguments: folder.expunge(*strings(arguments, 0)),
            "FETCH": partial(self._fetch, folder, by_uid=False),
            "SEARCH": partial(self._search, folder, by_uid=False),
            "STORE": partial(self._store, folder, by_uid=False),
            "UID EXPUNGE": lambda arguments: folder.expunge(*strings(arguments, 1)),
            "UID FETCH": partial(self._fetch, folder, by_uid=True),
            "UID SEARCH": partial(self._search, folder, by_uid=True),
            "UID STORE": partial(self._store, folder, by_uid=True),
            "UNSELECT": lambda _: self._leave(folder, expunge=False),
            **dict.fromkeys(_IMMOVABLE, _refuse),
        }

    def _list(self, response: str, arguments: list[Token]) -> None:
        """LIST, and LSUB: all folders are subscribed."""
        reference, pattern = strings(arguments, 2)
        if not pattern:
            self._tell(f'{response} (\\Noselect) "/" ""')
            return
        for name in self._mailbox.folders():
            if _matches(name, reference + pattern):
                self._tell(f'{response} (\\HasNoChildren) "/" {quoted(name)}')

    def _status(self, arguments: list[Token]) -> None:
        match arguments:
            case [str(name), list(asked)]:
                maildrop = self._maildrop(name)
            case _:
                raise Bad("a folder and a list are expected")
        letters, index = maildrop.letters(), maildrop.index()
        known = {
            "MESSAGES": len(letters),
            "RECENT": 0,
            "UIDNEXT": index.uidnext,
            "UIDVALIDITY": index.uidvalidity,
            "UNSEEN": sum(SEEN not in letter.flags for letter in letters),
        }
        items = [item.upper() for item in strings(asked, len(asked))]
        if not known.keys() >= set(items):
            raise Bad("no such status item")
        self._tell(f"STATUS {quoted(name)} ({' '.join(f'{item} {known[item]}' for item in items)})")

    def _select(self, arguments: list[Token], *, read_only: bool) -> None:
        (name,) = strings(arguments, 1)
        self._folder = None  # whatever comes of it (RFC 3501 §6.3.1)
        folder = Selected(self._maildrop(name), read_only=read_only)
        self._tell(*folder.opening())
        self._folder = folder

    def _leave(self, folder: Selected, *, expunge: bool) -> None:
        if expunge:
            folder.expunge()
        self._folder = None

    def _fetch(self, folder: Selected, arguments: list[Token], *, by_uid: bool) -> None:
        match arguments:
            case [str(numbers), items]:
                for response in folder.fetch(numbers, items, by_uid=by_uid):
                    self._tell(response)
            case _:
                raise Bad("letters and what to fetch of them are expected")

    def _store(self, folder: Selected, arguments: list[Token], *, by_uid: bool) -> None:
        match arguments:
            case [str(numbers), str(how), flag, *more]:
                self._tell(*folder.store(numbers, how, [flag, *more], by_uid=by_uid))
            case _:
                raise Bad("letters, FLAGS and flags are expected")

    def _search(self, folder: Selected, arguments: list[Token], *, by_uid: bool) -> None:
        match arguments:
            case [str(word), str(charset), *keys] if word.upper() == "CHARSET":
                if charset.upper() not in {"US-ASCII", "UTF-8"}:
                    raise Refusal("[BADCHARSET (US-ASCII UTF-8)] unknown character set")
                self._tell(folder.search(keys, by_uid=by_uid))
            case _:
                self._tell(folder.search(arguments, by_uid=by_uid))

    def _maildrop(self, name: str) -> Maildrop:
        maildrop = self._mailbox.folder(name)
        if maildrop is None:
            raise Refusal("[NONEXISTENT] there is no such folder")
        return maildrop


def _refuse(_: list[Token]) -> None:
    raise Refusal("[CANNOT] folders stay as they are here, and letters where they are")


def _matches(name: str, pattern: str) -> bool:
    """LIST's: * stands for anything, % for anything within a level of the hierarchy. INBOX may be written in any case."""
    anything = {"*": ".*", "%": "[^/]*"}
    merged = re.sub(r"[*%]{2,}", lambda run: "*" if "*" in run[0] else "%", pattern)
    expression = "".join(anything.get(character) or re.escape(character) for character in merged)
    return re.fullmatch(expression, name, re.IGNORECASE if name == INBOX else 0) is not None
