"""Which source mailboxes a rule reads, found or made."""

import ipaddress
from typing import NamedTuple

from fetchrules.models import SourceMailbox
from fetchrules.ruletext.spec import DEFAULT_PORTS, Protocol, Rule

INBOX = "INBOX"


class SourceKey(NamedTuple):
    """The columns that name a source mailbox."""

    protocol: str
    host: str
    port: int
    user: str
    folder: str


def source_key(rule: Rule, folder: str = "") -> SourceKey:
    """The mailbox of one folder. Both standard ports of a protocol lead to the same letters and are written as 0."""
    standard = {DEFAULT_PORTS[rule.protocol, True], DEFAULT_PORTS[rule.protocol, False]}
    return SourceKey(
        protocol=rule.protocol.value,
        host=_host(rule.server),
        port=0 if rule.effective_port in standard else rule.effective_port,
        user=rule.user,
        folder=folder if rule.protocol is Protocol.IMAP else "",
    )


def source_keys(rule: Rule) -> list[SourceKey]:
    """One key for each folder that the rule names; the first stands for the rule."""
    folders = (rule.folders or (INBOX,)) if rule.protocol is Protocol.IMAP else ("",)
    return [source_key(rule, folder) for folder in folders]


def sources_of(rule: Rule) -> list[SourceMailbox]:
    """The rows for all folders of the rule, made where they are missing."""
    return [SourceMailbox.objects.get_or_create(**key._asdict())[0] for key in source_keys(rule)]


def _host(server: str) -> str:
    """Host names compare without case, IDN by their ASCII form; addresses by their shortest spelling."""
    try:
        return ipaddress.ip_address(server.strip("[]")).compressed
    except ValueError:
        pass
    try:
        return server.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return server.rstrip(".").lower()
