"""A rule, and one table of its fields (FIELDS), from which the text, the database, JSON and the forms are derived.

Names are fetchmail's. The rule line is described in docs/.
"""

from dataclasses import MISSING, dataclass, field, fields
from enum import Enum, StrEnum
from typing import Any

from fetchrules.remote.auth.ways import Kind, Way


class Protocol(StrEnum):
    """How the remote mailbox is read."""

    POP3 = "pop3"
    IMAP = "imap"


class Encryption(StrEnum):
    """What the rule asks of the connection."""

    AUTO = "auto"
    """No word given: port 110/143, STARTTLS whenever the server offers it."""
    SSL = "ssl"
    """TLS from the first octet, port 995/993."""
    STARTTLS = "starttls"
    """STARTTLS, demanded."""
    PLAINTEXT = "plaintext"
    """No TLS, because the rule says so."""

    @property
    def with_check(self) -> "Encryption":
        """The encryption of a rule with a written `sslcertck`: only TLS has a certificate to verify, so TLS is demanded."""
        return Encryption.STARTTLS if self is Encryption.AUTO else self


class Auth(StrEnum):
    """How the rule logs in: fetchmail's words, and the names of SASL's mechanisms."""

    ANY = "any"
    """No word given: the best way that the server offers."""
    PASSWORD = "password"  # noqa: S105 (a word, not a password)
    """USER and PASS of POP3, the command LOGIN of IMAP."""
    PLAIN = "plain"
    LOGIN = "login"
    CRAM_MD5 = "cram-md5"
    APOP = "apop"
    """POP3 only."""
    SCRAM_SHA_1 = "scram-sha-1"
    SCRAM_SHA_256 = "scram-sha-256"

    @property
    def way(self) -> Way | None:
        """The only way that may be tried; None: any."""
        return _WAYS.get(self)


_WAYS = {way.lower(): way for way in Way}


class Spelling(StrEnum):
    """Which of the two spellings a line has."""

    BLANKS = "blanks"
    BARS = "bars"


DEFAULT_PORTS: dict[tuple[Protocol, bool], int] = {
    (Protocol.POP3, False): 110,
    (Protocol.POP3, True): 995,
    (Protocol.IMAP, False): 143,
    (Protocol.IMAP, True): 993,
}
"""Port by (protocol, implicit TLS)."""

MASK = "********"
"""Shown in the place of a password. Read back, it means "the stored one"."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a remote mailbox, the local mailbox that its letters go to, and how.

    `server` is as written, an IPv6 address without its brackets. `limit` is in octets, `interval` in minutes, `timeout` in seconds,
    `keepdays` in days. `None` means "not given". `sslfingerprint`: each is 64 lower-case hex digits.
    `folders` (IMAP only) empty means INBOX. `flags` (IMAP only): letters are delivered with their \\Seen, \\Flagged and \\Answered.
    `into`: pairs of a folder there and the folder of the local mailbox that its letters go to; the pair of the whole rule has no
    folder there. `password` equal to MASK means "the stored one".
    """

    server: str
    protocol: Protocol
    user: str
    password: str = field(repr=False)
    recipient: str
    keep: bool = False
    flush: bool = False
    fetchall: bool = False
    encryption: Encryption = Encryption.AUTO
    sslcertck: bool = True
    sslfingerprint: tuple[str, ...] = ()
    port: int | None = None
    auth: Auth = Auth.ANY
    uidl: bool = False
    flags: bool = False
    into: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    limit: int | None = None
    fetchlimit: int | None = None
    interval: int | None = None
    timeout: int | None = None
    keepdays: int | None = None
    skip: bool = False

    @property
    def effective_port(self) -> int:
        """The port to connect to: the one given, else the protocol's."""
        return self.port or DEFAULT_PORTS[self.protocol, self.encryption is Encryption.SSL]

    def local_folder(self, folder: str) -> str:
        """The folder of the local mailbox for letters of `folder`; empty: the usual one."""
        named = {of.upper() if of.upper() == INBOX else of: name for of, name in self.into}
        return named.get(folder, named.get("", ""))

    @property
    def leaves(self) -> bool:
        """Whether a letter stays on the server after it was delivered."""
        return self.keep or self.keepdays is not None

    @property
    def may_be_overheard(self) -> bool:
        """Whether somebody on the way may read what is said: no TLS is demanded, or anybody may be its other end."""
        demands_tls = self.encryption in {Encryption.SSL, Encryption.STARTTLS}
        return not (demands_tls and (self.sslcertck or self.sslfingerprint))

    @property
    def shows_password(self) -> bool:
        """Whether its own word has the password shown where TLS is not demanded."""
        shows = self.auth.way is not None and self.auth.way.kind is Kind.SHOWN
        return shows and self.encryption in {Encryption.AUTO, Encryption.PLAINTEXT}

    @property
    def judged_by_ledger(self) -> bool:
        """Whether our ledger alone says which letters were seen, and not the server's marks (IMAP without `uidl`)."""
        return self.protocol is Protocol.POP3 or self.uidl


_DEFAULTS = {item.name: item.default for item in fields(Rule)}


class Takes(Enum):
    """The kinds of arguments of option words."""

    NUMBER = "number"
    OCTETS = "octets"
    """A number that may end in k, m or g (1024 each)."""
    FINGERPRINT = "fingerprint"
    """64 hex digits, colons between them or not."""
    METHOD = "method"
    """A word of `Auth`."""
    NAME = "name"
    """Any text. Between bars, the last argument of a word may hold blanks."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option word: the field of `Rule` that it sets, and to what.

    `takes`: its arguments; a word without any sets the field to `sets`. One argument is the field's value, several are a tuple.
    `first_optional`: the first argument is a number that may be left out, and is None then.
    `of`: the field to whose last item before it the word belongs; the field that it sets holds a pair (item, value) for each. Where
    the rule has no such items, the word belongs to the whole rule, and its item is empty.
    `alias`: another spelling, read and never written.
    """

    word: str
    field: str
    takes: tuple[Takes, ...] = ()
    sets: bool | Encryption = True
    first_optional: bool = False
    of: str = ""
    alias: bool = False


class Section(Enum):
    """The parts of a rule's form, in their order."""

    SERVER = "server"
    ACCOUNT = "account"
    DELIVERY = "delivery"
    TREATMENT = "treatment"
    SCHEDULE = "schedule"
    ADVANCED = "advanced"


class Unit(Enum):
    """The unit of a number."""

    OCTETS = "octets"
    LETTERS = "letters"
    MINUTES = "minutes"
    SECONDS = "seconds"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `Rule`, described for everything that is derived from it: text, columns, JSON and forms.

    `bounds`: least and greatest value of a number. `longest`: the most characters of a text, of a list: of one item.
    `repeats`: it holds a tuple with an item for each time that its word is given. `only`: the one protocol that has it.
    `initially`: what a form starts a new rule with, where that is not the default.
    `decides`: it decides over letters, so that `policy.Terms` has it too. `opposite`: the column that stores its negation;
    other fields are stored under their own names.
    """

    name: str
    type: type[str] | type[int] | type[bool] | type[tuple[object, ...]] | type[StrEnum]
    section: Section
    options: tuple[Option, ...] = ()
    bounds: tuple[int, int] | None = None
    longest: int | None = None
    unit: Unit | None = None
    repeats: bool = False
    only: Protocol | None = None
    initially: object = None
    decides: bool = False
    opposite: str = ""

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def default(self) -> object:
        """Its value in a rule in which it is not given; MISSING if it has to be given."""
        return _DEFAULTS[self.name]

    @property
    def initial(self) -> object:
        """Its value in the form of a new rule."""
        return self.default if self.initially is None else self.initially

    @property
    def holds_pairs(self) -> bool:
        """Whether its items are pairs (`Option.of`)."""
        return any(option.of for option in self.options)

    def may_hold(self, item: object) -> bool:
        """Whether this, as JSON has it, may be an item of the list: a text, or two of them."""
        if not self.holds_pairs:
            return isinstance(item, str)
        return isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item)

    @property
    def column(self) -> str:
        """Its name in forms and in the database."""
        return self.opposite or self.name

    def to_column(self, value: object) -> object:
        """`value` as its column stores it."""
        if self.opposite:
            return not value
        return _listed(value)

    def from_column(self, stored: Any) -> Any:
        """The value for `stored`, the content of its column."""
        if stored is None:
            return None
        if self.holds_pairs:
            return tuple((str(of), str(item)) for of, item in stored)
        return not stored if self.opposite else self.type(stored)


def _listed(value: object) -> object:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _flag(
    name: str,
    section: Section,
    *,
    negated: str = "",
    only: Protocol | None = None,
    decides: bool = False,
    opposite: str = "",
) -> Field:
    words = (Option(name, name), *((Option(negated, name, sets=False),) if negated else ()))
    return Field(name, bool, section, words, only=only, decides=decides, opposite=opposite)


def _number(
    name: str,
    section: Section,
    greatest: int,
    unit: Unit | None = None,
    *,
    takes: Takes = Takes.NUMBER,
    decides: bool = False,
) -> Field:
    words = (Option(name, name, (takes,)),)
    return Field(name, int, section, words, bounds=(1, greatest), unit=unit, decides=decides)


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("server", str, Section.SERVER, longest=253, initially=""),
        Field("protocol", Protocol, Section.SERVER, initially=Protocol.POP3),
        Field("user", str, Section.ACCOUNT, longest=255, initially=""),
        Field("password", str, Section.ACCOUNT, longest=1024, initially=MASK),
        Field("recipient", str, Section.DELIVERY, longest=320, initially=""),
        _flag("keep", Section.TREATMENT, negated="nokeep", decides=True),
        _flag("flush", Section.TREATMENT, negated="noflush", decides=True),
        _flag("fetchall", Section.TREATMENT, negated="nofetchall", decides=True),
        Field(
            "encryption",
            Encryption,
            Section.SERVER,
            (
                Option("ssl", "encryption", sets=Encryption.SSL),
                Option("starttls", "encryption", sets=Encryption.STARTTLS),
                Option("plaintext", "encryption", sets=Encryption.PLAINTEXT),
            ),
            initially=Encryption.SSL,
        ),
        _flag("sslcertck", Section.SERVER, negated="nosslcertck"),
        Field(
            "sslfingerprint",
            tuple,
            Section.ADVANCED,
            (Option("sslfingerprint", "sslfingerprint", (Takes.FINGERPRINT,)),),
            repeats=True,
        ),
        Field(
            "port",
            int,
            Section.SERVER,
            (Option("port", "port", (Takes.NUMBER,)), Option("service", "port", (Takes.NUMBER,), alias=True)),
            bounds=(1, 65535),
        ),
        Field("auth", Auth, Section.ADVANCED, (Option("auth", "auth", (Takes.METHOD,)),)),
        _flag("uidl", Section.ADVANCED, decides=True),
        _flag("flags", Section.ADVANCED, negated="noflags", only=Protocol.IMAP),
        Field(
            "into",
            tuple,
            Section.DELIVERY,
            (Option("into", "into", (Takes.NAME,), of="folders"),),
            longest=200,
            repeats=True,
        ),
        Field(
            "folders",
            tuple,
            Section.ADVANCED,
            (Option("folder", "folders", (Takes.NAME,)),),
            longest=255,
            repeats=True,
            only=Protocol.IMAP,
        ),
        _number("limit", Section.ADVANCED, 2**40, Unit.OCTETS, takes=Takes.OCTETS, decides=True),
        _number("fetchlimit", Section.ADVANCED, 1_000_000, Unit.LETTERS, decides=True),
        _number("interval", Section.SCHEDULE, 43_200, Unit.MINUTES),
        _number("timeout", Section.ADVANCED, 3_600, Unit.SECONDS),
        _number("keepdays", Section.TREATMENT, 3_650, Unit.DAYS, decides=True),
        _flag("skip", Section.SCHEDULE, opposite="enabled"),
    )
}
"""Every field of `Rule`, in the order in which we write them into a line."""

STORED: tuple[Field, ...] = tuple(field for field in FIELDS.values() if field.name != "password")
"""The fields that are columns as they are; the password is sealed before it is stored."""

OPTIONS: dict[str, Option] = {option.word: option for field in FIELDS.values() for option in field.options}
"""Every option word, in the order in which we write them."""

BOUNDS: dict[str, tuple[int, int]] = {field.name: field.bounds for field in FIELDS.values() if field.bounds}
"""Least and greatest value of each numeric field of `Rule`."""

MAX_LENGTHS: dict[str, int] = {field.name: field.longest for field in FIELDS.values() if field.longest}
"""Greatest length of each field of text, in characters; of `folders` that of one name."""

INBOX = "INBOX"
"""The folder that every IMAP account has; its name alone is the same in any case (RFC 3501 §5.1)."""

PROTOCOL_WORDS: dict[str, tuple[Protocol, bool]] = {
    "pop3": (Protocol.POP3, False),
    "pop3s": (Protocol.POP3, True),
    "imap": (Protocol.IMAP, False),
    "imaps": (Protocol.IMAP, True),
}
"""The protocol of each protocol word, and whether the word stands for `ssl` as well."""

OCTET_SUFFIXES: dict[str, int] = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}

MAX_RULES = 20_000
"""Rules of an installation, and of any file or text of rules."""

MAX_FOLDERS = 32

MAX_PINS = 3
"""Certificates that a rule may pin: those of two machines, and one that is to come."""
