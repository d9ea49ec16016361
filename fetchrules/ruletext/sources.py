"""Which remote mailbox a rule reads: with which rules it may be shared, and whether a password stays with it.

Two rules may share a mailbox only if neither takes mail away from the other.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Generic, TypeVar

from fetchrules.rule import DEFAULT_PORTS, Encryption, Protocol, Rule

INBOX = "INBOX"

_STRENGTH = {Encryption.PLAINTEXT: 0, Encryption.AUTO: 1, Encryption.STARTTLS: 2, Encryption.SSL: 2}

Who = TypeVar("Who")


@dataclass(frozen=True, slots=True)
class Source:
    """A remote mailbox. `port` is 0 for the protocol's two standard ports, so that TLS does not make it another mailbox."""

    protocol: Protocol
    host: str
    port: int
    user: str
    folder: str

    @property
    def account(self) -> "Source":
        """The account, whatever the folder."""
        return replace(self, folder="")


def account_of(rule: Rule) -> Source:
    """The account that `rule` logs in to, whatever its folders."""
    standard = {DEFAULT_PORTS[rule.protocol, implicit] for implicit in (False, True)}
    port = 0 if rule.effective_port in standard else rule.effective_port
    return Source(rule.protocol, host_key(rule.server), port, rule.user, "")


def keeps_password(old: Rule, new: Rule) -> bool:
    """Whether the password of `old` may be used for `new` by someone who does not know it."""
    return account_of(old) == account_of(new) and not is_weaker(old, new)


def is_weaker(old: Rule, new: Rule) -> bool:
    """Whether `new` protects its password less than `old` did. Another pin is another trust, hence no better."""
    return (
        _STRENGTH[new.encryption] < _STRENGTH[old.encryption]
        or (old.sslcertck and not new.sslcertck)
        or new.sslfingerprint != old.sslfingerprint
    )


def sources_of(rule: Rule) -> Iterator[Source]:
    """The remote mailboxes that `rule` reads: one, or as many as it names folders. A POP3 mailbox has no folder."""
    account = account_of(rule)
    folders = (rule.folders or (INBOX,)) if rule.protocol is Protocol.IMAP else ("",)
    for folder in folders:
        # RFC 3501, 5.1: INBOX alone is the same name in any case.
        yield replace(account, folder=INBOX if folder.upper() == INBOX else folder)


def counterpart(folder: str, protocol: Protocol) -> str:
    """What a folder is called if its mailbox is read by `protocol`: a POP3 mailbox is an IMAP account's INBOX."""
    if folder not in ("", INBOX):
        return folder
    return INBOX if protocol is Protocol.IMAP else ""


@functools.lru_cache(maxsize=2**15)
def host_key(server: str) -> str:
    """What a server's names have in common: no case, IDN in ASCII, an address in its shortest form."""
    name = server.removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return ip_address(name).compressed
    except ValueError:
        pass
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return name.lower()


def address_key(recipient: str) -> str:
    """What the spellings of one local address have in common: neither case nor Unicode's ways of composing tell them apart."""
    return unicodedata.normalize("NFC", recipient.lower())


@dataclass(slots=True)
class Claims(Generic[Who]):
    """Who reads what. A rule that is switched off claims nothing."""

    _claims: dict[Source, tuple[Who, bool]] = field(default_factory=dict)

    def claim(self, rule: Rule, who: Who) -> Who | None:
        """Note what `rule` reads; whoever reads it already, where the two may not share it (both have to leave the mail)."""
        taken = self.conflict(rule)
        if not rule.skip:
            for source in sources_of(rule):
                self._claims.setdefault(source, (who, _leaves_all(rule)))
        return taken

    def conflict(self, rule: Rule) -> Who | None:
        """Whoever reads already what `rule` would, where the two may not share it."""
        if rule.skip:
            return None
        for source in sources_of(rule):
            who, leaves_all = self._claims.get(source, (None, True))
            if who is not None and not (_leaves_all(rule) and leaves_all):
                return who
        return None


def _leaves_all(rule: Rule) -> bool:
    """Whether it never deletes a letter that another recipient may not have yet, as flush and keepdays do beside keep."""
    return rule.keep and not rule.flush and rule.keepdays is None
