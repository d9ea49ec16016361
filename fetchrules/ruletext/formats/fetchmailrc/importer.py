"""From a .fetchmailrc to rules. A warning with its line says of each word that has no counterpart, or another meaning here."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from fetchrules.rule import BOUNDS, MASK, MAX_FOLDERS, MAX_RULES, Auth, Encryption, Protocol, Rule
from fetchrules.ruletext.formats.fetchmailrc.entries import (
    EVERYBODY,
    File,
    LocalName,
    ServerEntry,
    Setting,
    User,
    read_file,
)
from fetchrules.ruletext.formats.fetchmailrc.exporter import HEADER
from fetchrules.ruletext.formats.fetchmailrc.tokens import GLOBAL_WORDS, SERVER_WORDS, USER_WORDS, Lexeme
from fetchrules.ruletext.formats.foreign import Imported, ImportedRule, Reason, UnreadableEntry, imported
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.validate import auth_fault

_PROTOCOLS = {"pop3": Protocol.POP3, "apop": Protocol.POP3, "sdps": Protocol.POP3, "imap": Protocol.IMAP}
_PROTOCOL_EXTRAS = {"sdps": Reason.ENVELOPE}
"""What else a protocol's name asks for."""
_SERVICES = {"pop3": 110, "pop-3": 110, "pop3s": 995, "imap": 143, "imap2": 143, "imap4": 143, "imaps": 993}
_PROTOCOL_BY_PORT = {110: Protocol.POP3, 995: Protocol.POP3, 143: Protocol.IMAP, 993: Protocol.IMAP}
_AUTH = {"cram": Auth.CRAM_MD5}
"""Words of fetchmail's that are not ours."""
_FREE_TLS_VERSIONS = frozenset({"auto", "ssl23", "tls1+", "tls1.1+", "tls1.2+"})
_SECONDS = 60
_NOT_SET_BY_ZERO = frozenset({"timeout", "interval"})
"""fetchmail cannot tell 0 from nothing for these, so the defaults hold."""


def import_fetchmailrc(text: str, domain: str = "") -> Imported:
    """The rules that a .fetchmailrc stands for. `domain` completes local names that have none; without it they are left out."""
    file = _FetchmailrcImport(read_file(text), domain)
    found = file.rules()
    below = tuple(file.comments_above(None))
    return imported(found, file.problems, below)


class _FetchmailrcImport:
    """One file while it is imported: its entries, the comments that are not taken over yet, and the problems so far."""

    def __init__(self, file: File, domain: str) -> None:
        self.entries = file.entries
        self.domain = domain
        self.problems = list(file.problems)
        self.comments = deque(comment for comment in file.comments if comment.text != HEADER)
        self.global_settings = _by_word(file.settings)
        self._say_unmapped(file.settings)

    def rules(self) -> list[ImportedRule]:
        defaults = _Settings()
        found: list[ImportedRule] = []
        for entry in self.entries:
            self._say_unmapped(entry.settings + [setting for user in entry.users for setting in user.settings])
            if entry.verb != "defaults":
                found += () if entry.is_broken else self._rules_of(entry, defaults)
            elif entry is self.entries[0]:
                user = entry.users[0] if entry.users else User(entry.token)
                defaults = defaults.overridden(_by_word(entry.settings), user)
            else:
                self.problems.append(_at(entry.token, Code.FOREIGN_DEFAULTS_LATE))
            if len(found) > MAX_RULES:
                self.problems = [_at(entry.token, Code.TOO_MANY_RULES, maximum=MAX_RULES)]
                return []
        return found

    def _rules_of(self, entry: ServerEntry, defaults: "_Settings") -> Iterator[ImportedRule]:
        of_server = _by_word(entry.settings)
        for user in entry.users or [User(entry.token)]:  # the defaults may have named one
            settings = defaults.overridden(of_server, user)
            try:
                rule = self._rule(entry, settings)
            except UnreadableEntry as error:
                self.problems.append(_at(user.token, error.problem.code, other=error.problem.other))
            else:
                yield ImportedRule(
                    rule, user.token.line, user.token.column, tuple(self.comments_above(entry.token.line))
                )

    def _rule(self, entry: ServerEntry, settings: "_Settings") -> Rule:
        if not settings.name:
            raise UnreadableEntry.because(Reason.NO_LOGIN)
        port = _port(settings)
        protocol = self._protocol(settings, port)
        return Rule(
            server=settings.text("via") or entry.name,
            protocol=protocol,
            user=settings.name,
            password=settings.text("password") or MASK,
            recipient=self._recipient(settings),
            keep=settings.flag("keep"),
            flush=settings.flag("flush"),
            fetchall=settings.flag("fetchall"),
            encryption=self._encryption(settings),
            sslcertck=_certificate_checked(settings) is not False,
            port=port,
            auth=self._auth(settings),
            uidl=settings.flag("uidl"),
            folders=self._folders(settings, protocol),
            limit=settings.number("limit"),
            fetchlimit=settings.number("fetchlimit"),
            interval=self._interval(settings),
            timeout=settings.number("timeout"),
            skip=entry.verb == "skip",
        )

    def _recipient(self, settings: "_Settings") -> str:
        if named := settings.text("smtpname"):
            return named
        names = settings.locals
        if not names:
            raise UnreadableEntry.because(Reason.NO_LOCAL_MAILBOX)
        if len(names) > 1 or not names[0].plain:
            raise UnreadableEntry.because(Reason.SEVERAL_LOCAL_MAILBOXES)
        name = names[0].name
        domain = settings.text("smtpaddress") or self.domain
        if "@" not in name and not domain:
            raise UnreadableEntry.because(Reason.NO_LOCAL_DOMAIN)
        return name if "@" in name else f"{name}@{domain}"

    def _protocol(self, settings: "_Settings", port: int | None) -> Protocol:
        """The protocol that is named, else that of the port. fetchmail would try several, which a rule cannot."""
        named = settings.by_word.get("protocol")
        name = settings.text("protocol").lower()
        protocol = _PROTOCOLS.get(name)
        if protocol is None and name in {"", "auto"} and port:
            protocol = _PROTOCOL_BY_PORT.get(port)
        if protocol is None:
            raise UnreadableEntry.because(Reason.PROTOCOL)
        if named and name in _PROTOCOL_EXTRAS:
            self.problems.append(_at(named.token, Code.FOREIGN_NOT_MAPPED, word=name, other=_PROTOCOL_EXTRAS[name]))
        return protocol

    def _auth(self, settings: "_Settings") -> Auth:
        """The protocol APOP logs in by APOP, whatever else is said."""
        method = settings.by_word.get("auth")
        if settings.text("protocol").lower() == "apop":
            return Auth.APOP
        if method is None:
            return Auth.ANY
        word = str(method.value).lower()
        if word not in _AUTH and auth_fault(word):
            self._say_unmapped([method], Reason.AUTHENTICATION)
            return Auth.ANY
        return _AUTH.get(word) or Auth(word)

    def _encryption(self, settings: "_Settings") -> Encryption:
        versions = settings.by_word.get("sslproto")
        wanted = str(versions.value) if versions else None
        if versions and wanted and wanted.lower() not in _FREE_TLS_VERSIONS:
            self._say_unmapped([versions], Reason.TLS_VERSION)
        if pin := settings.by_word.get("sslfingerprint"):
            self._say_unmapped([pin], Reason.MD5)
        if settings.flag("ssl"):
            return Encryption.SSL
        if wanted is None:
            return Encryption.AUTO.with_check if _certificate_checked(settings) else Encryption.AUTO
        return Encryption.STARTTLS if wanted else Encryption.PLAINTEXT

    def _folders(self, settings: "_Settings", protocol: Protocol) -> tuple[str, ...]:
        folders = settings.by_word.get("folder")
        if folders is None or not isinstance(folders.value, tuple):
            return ()
        if protocol is Protocol.POP3:
            self._say_unmapped([folders], Reason.POP3_FOLDER)
            return ()
        return folders.value

    def _interval(self, settings: "_Settings") -> int | None:
        """fetchmail counts poll cycles, which last as long as `set daemon` says (in seconds); we count minutes."""
        setting, cycles = settings.by_word.get("interval"), settings.number("interval")
        if setting is None or cycles is None:
            return None
        daemon = self.global_settings.get("daemon")
        cycle = daemon.value if daemon else None
        if not isinstance(cycle, int) or cycle < 1:
            self.problems.append(_at(setting.token, Code.FOREIGN_INTERVAL_UNKNOWN, word="interval"))
            return None
        least, greatest = BOUNDS["interval"]
        minutes = min(max(round(cycles * cycle / _SECONDS), least), greatest)
        self.problems.append(_at(setting.token, Code.FOREIGN_INTERVAL, word="interval", other=str(minutes)))
        return minutes

    def comments_above(self, line: int | None) -> Iterator[str]:
        """The comments above `line` (None: all) that no entry has taken. One that may hold a password is only reported."""
        while self.comments and (line is None or self.comments[0].line < line):
            comment = self.comments.popleft()
            if "pass" in comment.text.lower():
                self.problems.append(Problem(Code.FOREIGN_COMMENT_LEFT_OUT, comment.line, 1, len(comment.text)))
            else:
                yield comment.text

    def _say_unmapped(self, settings: list[Setting], because: Reason | None = None) -> None:
        for setting in settings:
            word = SERVER_WORDS.get(setting.word) or USER_WORDS.get(setting.word) or GLOBAL_WORDS[setting.word]
            if reason := because or word.reason:
                self.problems.append(_at(setting.token, Code.FOREIGN_NOT_MAPPED, word=setting.word, other=reason))


def _by_word(settings: list[Setting]) -> dict[str, Setting]:
    """The settings of one place by their words. Of a word that is given twice the last value counts; lists grow.

    No more of a list is kept than is needed to see that it is too long.
    """
    said: dict[str, Setting] = {}
    for setting in settings:
        word = "service" if setting.word == "port" else setting.word
        value = setting.value
        if isinstance(value, tuple):
            before = said[word].value if word in said else ()
            items = dict.fromkeys((*before, *value) if isinstance(before, tuple) else value)
            value = tuple(islice(items, MAX_FOLDERS + 1))
        said[word] = replace(setting, value=value)
    return {word: setting for word, setting in said.items() if word not in _NOT_SET_BY_ZERO or setting.value}


@dataclass(frozen=True, slots=True)
class _Settings:
    """What holds for one user, or what `defaults` says for all of them."""

    by_word: Mapping[str, Setting] = field(default_factory=dict)
    name: str = ""
    locals: Sequence[LocalName] = ()

    def overridden(self, of_server: Mapping[str, Setting], user: User) -> "_Settings":
        """These defaults, with the settings of a server and of its user in their place where there are any."""
        local_names = user.locals or self.locals
        if user.locals and EVERYBODY in self.locals:
            local_names = [*user.locals, EVERYBODY]
        return _Settings({**self.by_word, **of_server, **_by_word(user.settings)}, user.name or self.name, local_names)

    def text(self, word: str) -> str:
        """The value of `word` as text, empty if it is not set."""
        setting = self.by_word.get(word)
        return str(setting.value) if setting else ""

    def number(self, word: str) -> int | None:
        """The value of `word`; fetchmail's 0 means "no limit"."""
        setting = self.by_word.get(word)
        return setting.value if setting and isinstance(setting.value, int) and setting.value > 0 else None

    def flag(self, word: str) -> bool:
        setting = self.by_word.get(word)
        return setting is not None and bool(setting.value)


def _certificate_checked(settings: _Settings) -> bool | None:
    """The file's word on it, or None. An MD5 pin cannot be kept, so the certificate is checked in its place."""
    if settings.by_word.get("sslfingerprint"):
        return True
    return settings.flag("sslcertck") if settings.by_word.get("sslcertck") else None


def _port(settings: _Settings) -> int | None:
    setting = settings.by_word.get("service")
    if setting is None:
        return None
    service = str(setting.value).lower()
    if service.isascii() and service.isdecimal():
        return int(service)
    if service not in _SERVICES:
        raise UnreadableEntry.because(Reason.SERVICE)
    return _SERVICES[service]


def _at(token: Lexeme, code: Code, *, word: str = "", other: str = "", maximum: int | None = None) -> Problem:
    return Problem(
        code, line=token.line, column=token.column, length=token.length, word=word, other=other, maximum=maximum
    )
