"""A .fetchmailrc as people write them: any order, noise, blanks, quotes and escapes; made up at random, alike for one seed."""

from collections.abc import Callable, Iterator
from random import Random

KEYWORDS = (
    *(
        "keep",
        "nokeep",
        "poll",
        "skip",
        "user",
        "password",
        "here",
        "there",
        "is",
        "to",
        "with",
        "and",
        "ssl",
        "pop3",
        "any",
    ),
    *("defaults", "set", "no", "nossl", "folder", "12345", "-7", "0"),
)
_CHARACTERS = "abXY019.-_@%+!$&()<>?/~^{}[]| \t#=;:,'\""
_SEPARATORS = (
    *(" ", " ", " ", "\t", "\n    ", "\r\n", " \\\n ", ", ", "; ", ": ", " and ", " with ", " has ", " options "),
    *(' # it\'s a "comment"\n', "\n\n"),
)
_GLOBALS = (*("set daemon 300", "set postmaster 'x'", "set nobouncemail", "set no syslog", 'set idfile="/x"'),)
_SERVER_OPTIONS = (
    *(
        "via h.example.org",
        "via '192.0.2.7'",
        "port 1110",
        "service 995",
        "service 'pop3s'",
        "service imaps",
        "timeout 90",
    ),
    *("timeout 0", "uidl", "nouidl", "interval 3", "interval 0", "no dns", "aka x.org, y.org", "local a.ru b.ru"),
    *(
        "envelope 2 X-To",
        "no envelope",
        "qvirtual 'm-'",
        "checkalias",
        "plugin 'nc %h'",
        "tracepolls",
        "bad-header accept",
    ),
    *("auth cram-md5", "authenticate password", "preauth any", "auth gssapi"),
)
_USER_OPTIONS = (
    *(
        "keep",
        "nokeep",
        "no keep",
        "flush",
        "noflush",
        "fetchall",
        "nofetchall",
        "ssl",
        "no ssl",
        "sslcertck",
        "no sslcertck",
    ),
    *("sslproto ''", "sslproto 'auto'", "sslproto TLS1.2+", "limit 1000", "limit 0", "fetchlimit 5", "fetchlimit 0"),
    *(
        "folder INBOX, Sent",
        "folders 'a b' *",
        "smtphost a.org, b/25",
        "mda '/usr/bin/procmail -d %T'",
        "antispam 571 550",
    ),
    *(
        "preconnect \"echo 'x' # y\"",
        "pre 'date'",
        "post 'date'",
        "rewrite",
        "norewrite",
        "nopass8",
        "nomimedec",
        "no idle",
    ),
    *(
        "warnings 3600",
        "expunge 5",
        "properties 'x y'",
        "smtpaddress a.ru",
        "smtpname p.p@b.ru",
        "sslfingerprint 'AA:BB'",
    ),
)
_LOCAL_NAMES = ("i.petrov@mydomain.ru", "ivan", "'sales'", "keep", "a=b", "*", "one, two", "one and two")


class Hand:
    """Whose writing it is."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def file(self) -> str:
        """A whole file."""
        statements = [self._entry("defaults", named=self._maybe(0.5))] if self._maybe(0.4) else []
        statements += [
            self._entry(f"{self._of('poll', 'server', 'skip')} h{n}.example.org", named=True) for n in range(4)
        ]
        statements.insert(self.chance.randrange(len(statements) + 1), self._of(*_GLOBALS))
        return "".join(statement + self._of("\n", "\r\n", "\n# next\n") for statement in statements)

    def _entry(self, head: str, *, named: bool) -> str:
        parts = [head, *self._some(_SERVER_OPTIONS)]
        if named or self._maybe(0.5):
            parts.append(f"{self._of('proto', 'protocol')} {self._of('pop3', 'IMAP', 'imap', 'apop', 'auto', 'sdps')}")
        for _ in range(self.chance.randint(1, 2) if named and head != "defaults" else 1):
            parts += self._user(named=named)
        first, *rest = parts
        return first + "".join(self._of(*_SEPARATORS) + part for part in rest)

    def _user(self, *, named: bool) -> Iterator[str]:
        login, name = self._string(), self._of(*_LOCAL_NAMES)
        words: list[Callable[[], str]] = [lambda: f"{self._of('pass', 'password')} {self._string()}"]
        match self.chance.randrange(4) if named else 3:
            case 0:
                yield f"user {name} here"
                words.append(lambda: f"is {login} there")
            case 1:
                yield f"username {login} there"
                words.append(lambda: f"is {name} here")
            case 2:
                yield f"user {login}"
                words.append(lambda: f"to {name}")
            case _:
                yield from [f"user {login}"] if named else []
        written = [word() for word in words if self._maybe(0.9)] + [*self._some(_USER_OPTIONS)]
        self.chance.shuffle(written)
        yield from written

    def _string(self) -> str:
        """A login or a password behind its word: a number or a keyword too, in quotes, with escapes."""
        if self._maybe(0.3):
            return self.chance.choice(KEYWORDS)
        quote = self._of('"', "'")
        text = "".join(self._character(quote) for _ in range(self.chance.randint(1, 8)))
        return f"{quote}{text}{quote}"

    def _character(self, quote: str) -> str:
        character = self.chance.choice(_CHARACTERS)
        escaped = self._of(f"\\x{ord(character):02x}", f"\\X{ord(character):02X}", f"\\0{ord(character):02o}"[:4])
        if character == quote or self._maybe(0.1):
            return f"\\x{ord(character):02x}" if ord(character) > 0o77 else escaped
        return character + ("\\\n" if self._maybe(0.02) else "")

    def _some(self, options: tuple[str, ...]) -> list[str]:
        return self.chance.sample(options, self.chance.choice((0, 1, 2, 4)))

    def _of(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def _maybe(self, probability: float) -> bool:
        return self.chance.random() < probability
