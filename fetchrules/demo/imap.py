"""A small IMAP server (RFC 3501, 3691, 4315), for any number of sessions at a time.

Letters can be read, flagged and expunged, but not appended, nor folders changed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fetchrules.demo.imap_folder import SelectedFolder, Token, quoted, strings, tokens
from fetchrules.demo.maildrop import INBOX, SEEN, Folder
from fetchrules.demo.server import Bad, DemoServer, LineTooLong, Refusal, Wire, plain_credentials

MAX_COMMAND = 65536
"""Octets of a command with its literals."""

_LITERAL = re.compile(r"\{(\d{1,10})\}\Z", re.ASCII)
_TAG = re.compile(r'[^\x00-\x20(){%*"\\+\x7f-\U0010ffff]+')
_SELECTING = {"SELECT", "EXAMINE"}
_KEEP_NUMBERS = {"FETCH", "STORE", "SEARCH"}
"""Commands during which no EXPUNGE may be sent (RFC 3501 §7.4.1)."""
_REFUSED = ("APPEND", "COPY", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UID COPY", "UNSUBSCRIBE")

_Command = Callable[[list[Token]], Iterable[bytes]]
"""Returns the untagged responses, without `* ` and the last CRLF. Raises Bad, Refusal."""
_Folders = Mapping[str, Folder]
"""A user's folders by names in modified UTF-7."""


class ImapSession:
    """One session. `log_in` takes user and password, and returns the folders; None: login refused."""

    def __init__(self, wire: Wire, log_in: Callable[[str, str], _Folders | None]) -> None:
        self.wire = wire
        self.over = False
        self.status = ""
        """The tagged response without its tag."""
        self.selected: SelectedFolder | None = None
        self._log_in = log_in
        self._folders: _Folders | None = None

    def run(self) -> None:
        try:
            self.greet()
            while not self.over:
                self.command(self._read_command())
        except LineTooLong:
            self.wire.send(b"* BYE too long a line\r\n")

    def greet(self) -> None:
        self.wire.send(f"* OK {self.code()}IMAP ready\r\n".encode())

    def capabilities(self) -> Sequence[str]:
        return ("IMAP4rev1", "AUTH=PLAIN", "UIDPLUS", "UNSELECT")

    def code(self) -> str:
        return f"[CAPABILITY {' '.join(self.capabilities())}] "

    def command(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        if not _TAG.fullmatch(tag):
            self.wire.send(b"* BAD a command begins with a tag\r\n")
            return
        try:
            verb, arguments = _verb_first(tokens(rest))
        except Bad as error:
            self.wire.send(f"{tag} BAD {error}\r\n".encode())
        else:
            self.obey(tag, verb, arguments)

    def obey(self, tag: str, verb: str, arguments: list[Token]) -> None:
        for line in self.answer(tag, verb, arguments):
            self.wire.send(line)

    def answer(self, tag: str, verb: str, arguments: list[Token]) -> Iterator[bytes]:
        """Obey a command. Yields the untagged responses and the last line."""
        self.status = "OK done"
        try:
            command = self.commands().get(verb, self._unknown)
            yield from (b"* " + response + b"\r\n" for response in command(arguments))
            if self.selected is not None and not self.over and verb not in _SELECTING:
                news = self.selected.news(renumber=verb not in _KEEP_NUMBERS)
                yield from (b"* " + response + b"\r\n" for response in news)
        except Bad as error:
            self.status = f"BAD {error}"
        except Refusal as refusal:
            self.status = f"NO {refusal}"
        yield f"{tag} {self.status}\r\n".encode()

    def commands(self) -> dict[str, _Command]:
        commands: dict[str, _Command] = {
            "CAPABILITY": lambda _: [f"CAPABILITY {' '.join(self.capabilities())}".encode()],
            "LOGOUT": self.log_out,
            "NOOP": lambda _: (),
        }
        if self._folders is None:
            commands |= {"AUTHENTICATE": self.authenticate, "LOGIN": lambda given: self.log_in(*strings(given, 2))}
        else:
            commands |= self._commands_for_folders(self._folders)
        if self.selected is not None:
            commands |= self.commands_for_letters(self.selected)
        return commands

    def _commands_for_folders(self, folders: _Folders) -> dict[str, _Command]:
        return {
            "EXAMINE": lambda given: self.select(folders, *strings(given, 1), read_only=True),
            "LIST": lambda given: _list(folders, "LIST", *strings(given, 2)),
            "LSUB": lambda given: _list(folders, "LSUB", *strings(given, 2)),  # all folders are subscribed
            "SELECT": lambda given: self.select(folders, *strings(given, 1), read_only=False),
            "STATUS": lambda given: _status(folders, given),
            **dict.fromkeys(_REFUSED, _refuse),
        }

    def commands_for_letters(self, folder: SelectedFolder) -> dict[str, _Command]:
        return {
            "CHECK": lambda _: (),
            "CLOSE": lambda _: self._leave(folder, expunge=not folder.read_only),
            "EXPUNGE": lambda given: folder.expunge(*strings(given, 0)),
            "FETCH": lambda given: _fetch(folder, given, by_uid=False),
            "SEARCH": lambda given: folder.search(given, by_uid=False),
            "STORE": lambda given: _store(folder, given, by_uid=False),
            "UID EXPUNGE": lambda given: folder.expunge(*strings(given, 1)),
            "UID FETCH": lambda given: _fetch(folder, given, by_uid=True),
            "UID SEARCH": lambda given: folder.search(given, by_uid=True),
            "UID STORE": lambda given: _store(folder, given, by_uid=True),
            "UNSELECT": lambda _: self._leave(folder, expunge=False),
        }

    def log_out(self, _: list[Token]) -> Iterable[bytes]:
        self.over = True
        yield b"BYE until next time"

    def authenticate(self, arguments: list[Token]) -> Iterable[bytes]:
        if strings(arguments, 1)[0].upper() != "PLAIN":
            raise Refusal("[CANNOT] PLAIN is all that there is")
        self.wire.send(b"+ \r\n")
        return self.log_in(*plain_credentials(self.wire.read_line()))

    def log_in(self, user: str, password: str) -> Iterable[bytes]:
        self._folders = self._log_in(user, password)
        if self._folders is None:
            raise Refusal("[AUTHENTICATIONFAILED] wrong user or password")
        self.status = f"OK {self.code()}logged in"
        return ()

    def select(self, folders: _Folders, name: str, *, read_only: bool) -> Iterator[bytes]:
        self.selected = None  # also when there is no such folder (RFC 3501 §6.3.1)
        self.selected = self.opened(_folder(folders, name), read_only=read_only)
        yield from self.selected.opened()
        self.status = "OK [READ-ONLY] selected" if self.selected.read_only else "OK [READ-WRITE] selected"

    def opened(self, folder: Folder, *, read_only: bool) -> SelectedFolder:
        return SelectedFolder(folder, read_only=read_only)

    def _leave(self, folder: SelectedFolder, *, expunge: bool) -> Iterable[bytes]:
        if expunge:
            folder.expunge()
        self.selected = None
        return ()

    def _unknown(self, _: list[Token]) -> Iterable[bytes]:
        raise Bad(f"no such command, or {'log in' if self._folders is None else 'select a folder'} first")

    def _read_command(self) -> str:
        """The next command, its literals turned into quoted strings."""
        text = self._read_line()
        while announced := _LITERAL.search(text):
            if len(text) + int(announced[1]) > MAX_COMMAND:
                self.wire.send(f"{text.partition(' ')[0]} NO [TOOBIG] too long a command\r\n".encode())
                text = self._read_line()
                continue
            self.wire.send(b"+ go on\r\n")
            octets = self.wire.read(int(announced[1]))
            text = text[: announced.start()] + quoted(octets.decode("utf-8", "replace")) + self._read_line()
        return text

    def _read_line(self) -> str:
        return self.wire.read_line().decode("utf-8", "replace")


class ImapServer(DemoServer):
    def serve(self, wire: Wire) -> None:
        ImapSession(wire, self.folders).run()

    def folders(self, user: str, password: str) -> _Folders | None:
        mailbox = self.mailbox(user, password)
        return mailbox.folders() if mailbox is not None else None


def _verb_first(command: list[Token]) -> tuple[str, list[Token]]:
    """The command's name in upper case, UID and what follows it being one; and its arguments. Raises Bad."""
    words = 2 if command and isinstance(command[0], str) and command[0].upper() == "UID" else 1
    return " ".join(strings(command[:words], words)).upper(), command[words:]


def _folder(folders: _Folders, name: str) -> Folder:
    """INBOX may be written in any case (RFC 3501 §5.1)."""
    folder = folders.get(INBOX if name.upper() == INBOX else name)
    if folder is None:
        raise Refusal("[NONEXISTENT] there is no such folder")
    return folder


def _list(folders: _Folders, response: str, reference: str, pattern: str) -> Iterator[bytes]:
    """The folders whose names fit. `%` means the same as `*`, since no folder lies within another."""
    if not pattern:
        yield f'{response} (\\Noselect) "/" ""'.encode()
    fits = ".*".join(map(re.escape, re.split("[*%]+", reference + pattern)))
    for name in folders:
        if pattern and re.fullmatch(fits, name, re.IGNORECASE if name == INBOX else 0):
            yield f'{response} (\\HasNoChildren) "/" {quoted(name)}'.encode()


def _status(folders: _Folders, arguments: list[Token]) -> Iterator[bytes]:
    match arguments:
        case [str(name), list(asked)]:
            folder = _folder(folders, name)
        case _:
            raise Bad("a folder and a list are expected")
    letters = folder.scan()
    known = {
        "MESSAGES": len(letters),
        "RECENT": 0,
        "UIDNEXT": folder.uidnext,
        "UIDVALIDITY": folder.uidvalidity,
        "UNSEEN": sum(SEEN not in letter.flags for letter in letters),
    }
    items = [item.upper() for item in strings(asked, len(asked))]
    if not known.keys() >= set(items):
        raise Bad("no such status item")
    yield f"STATUS {quoted(name)} ({' '.join(f'{item} {known[item]}' for item in items)})".encode()


def _fetch(folder: SelectedFolder, arguments: list[Token], *, by_uid: bool) -> Iterator[bytes]:
    match arguments:
        case [str(numbers), items]:
            return folder.fetch(numbers, items, by_uid=by_uid)
    raise Bad("letters and what to fetch of them are expected")


def _store(folder: SelectedFolder, arguments: list[Token], *, by_uid: bool) -> Iterator[bytes]:
    match arguments:
        case [str(numbers), str(how), flag, *more]:
            return folder.store(numbers, how, [flag, *more], by_uid=by_uid)
    raise Bad("letters, FLAGS and flags are expected")


def _refuse(_: list[Token]) -> Iterable[bytes]:
    raise Refusal("[CANNOT] folders stay as they are here, and letters where they are")
