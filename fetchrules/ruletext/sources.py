"""The remote mailboxes that a rule reads, which rules may share one, and whether a password stays with its rule.

Two rules may share a mailbox only if neither takes mail away from the other.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Generic, TypeVar

from fetchrules.remote.auth.ways import Kind
from fetchrules.rule import DEFAULT_PORTS, INBOX, Auth, Encryption, Protocol, Rule

_STRENGTH = {Encryption.PLAINTEXT: 0, Encryption.AUTO: 1, Encryption.STARTTLS: 2, Encryption.SSL: 2}
_SECRECY = {Kind.SHOWN: 0, Kind.DIGEST: 2, Kind.SCRAM: 3}
_SECRECY_OF_ANY = 1
"""Of the best way that is offered: it shows the password where the server, or somebody in its place, offers nothing else."""

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
    """Whether someone who does not know the password of `old` may use it for `new`: for the same account, protected no less.

    Another pin does not protect it better: it trusts somebody else. One pin less of several does.
    """
    return (
        account_of(old) == account_of(new)
        and _STRENGTH[new.encryption] >= _STRENGTH[old.encryption]
        and new.sslcertck >= old.sslcertck
        and _trusts_no_other(old, new)
        and (not new.may_be_overheard or _secrecy(new.auth) >= _secrecy(old.auth))
    )


def _secrecy(auth: Auth) -> int:
    return _SECRECY_OF_ANY if auth.way is None else _SECRECY[auth.way.kind]


def _trusts_no_other(old: Rule, new: Rule) -> bool:
    """Whether `new` accepts only certificates that `old` pins, or neither pins any."""
    pins = set(new.sslfingerprint)
    return pins <= set(old.sslfingerprint) and bool(pins) == bool(old.sslfingerprint)


def sources_of(rule: Rule) -> Iterator[Source]:
    """The remote mailboxes that `rule` reads: one, or as many as it names folders. A POP3 mailbox has no folder."""
    account = account_of(rule)
    folders = (rule.folders or (INBOX,)) if rule.protocol is Protocol.IMAP else ("",)
    for folder in folders:
        # RFC 3501, 5.1: INBOX alone is the same name in any case.
        yield replace(account, folder=INBOX if folder.upper() == INBOX else folder)


def local_folders(rule: Rule) -> set[str]:
    """The folders of the local mailbox that the rule's letters go to; the empty one is the usual one."""
    return {rule.local_folder(source.folder) for source in sources_of(rule)}


def counterpart(folder: str, protocol: Protocol) -> str:
    """What a folder is called if its mailbox is read by `protocol`: a POP3 mailbox is an IMAP account's INBOX."""
    if folder not in ("", INBOX):
        return folder
    return INBOX if protocol is Protocol.IMAP else ""


@functools.lru_cache(maxsize=2**15)
def host_key(server: str) -> str:
    """The same key for all spellings of a server's name: in lower case, IDN in ASCII, an address in its shortest form."""
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
    """The same key for all spellings of a local address that differ in case or in how Unicode composes a letter only."""
    return unicodedata.normalize("NFC", recipient.lower())


@dataclass(slots=True)
class Claims(Generic[Who]):
    """The remote mailboxes that are read, and by whom. A rule that is switched off claims none."""

    _claims: dict[Source, tuple[Who, bool]] = field(default_factory=dict)

    def claim(self, rule: Rule, who: Who) -> Who | None:
        """Note the mailboxes of `rule`, and return its `conflict`."""
        taken = self.conflict(rule)
        if not rule.skip:
            for source in sources_of(rule):
                self._claims.setdefault(source, (who, _leaves_all(rule)))
        return taken

    def conflict(self, rule: Rule) -> Who | None:
        """Whoever reads a mailbox of `rule` already and may not share it, because one of both does not leave the mail; or None."""
        if rule.skip:
            return None
        for source in sources_of(rule):
            who, leaves_all = self._claims.get(source, (None, True))
            if who is not None and not (_leaves_all(rule) and leaves_all):
                return who
        return None


def _leaves_all(rule: Rule) -> bool:
    """Whether it deletes no letter that another recipient may not have yet: flush and keepdays delete beside keep."""
    return rule.keep and not rule.flush and rule.keepdays is None
