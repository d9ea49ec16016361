"""The ways to log in with a password, by what each gives away."""

from enum import Enum, StrEnum


class Kind(Enum):
    """A server that refuses one way of a kind with the right password refuses the others of that kind too."""

    SCRAM = "scram"
    """Proves that we know the password, and makes the server prove it. Servers need a secret that was made for it."""
    DIGEST = "digest"
    """The challenge-response of the nineties. Servers need the password itself, and who listens can guess it offline."""
    SHOWN = "shown"
    """Sends the password, so it works with whatever the server has stored."""


class Way(StrEnum):
    """A SASL mechanism by its name, or one of the protocols' own ways."""

    SCRAM_SHA_256 = "SCRAM-SHA-256"  # RFC 7677
    SCRAM_SHA_1 = "SCRAM-SHA-1"  # RFC 5802
    PLAIN = "PLAIN"  # RFC 4616
    LOGIN = "LOGIN"  # draft-murchison-sasl-login
    CRAM_MD5 = "CRAM-MD5"  # RFC 2195
    APOP = "APOP"  # RFC 1939 section 7
    NATIVE = "password"
    """USER and PASS of POP3, the command LOGIN of IMAP."""

    @property
    def kind(self) -> Kind:
        return _KINDS[self]


_KINDS = {
    Way.SCRAM_SHA_256: Kind.SCRAM,
    Way.SCRAM_SHA_1: Kind.SCRAM,
    Way.CRAM_MD5: Kind.DIGEST,
    Way.APOP: Kind.DIGEST,
    Way.NATIVE: Kind.SHOWN,
    Way.PLAIN: Kind.SHOWN,
    Way.LOGIN: Kind.SHOWN,
}

SASL = frozenset(Way) - {Way.APOP, Way.NATIVE}
SHOWING = frozenset(way for way in Way if way.kind is Kind.SHOWN)
