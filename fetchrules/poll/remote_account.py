"""From a rule to the account that a protocol client opens: the password unsealed, and where its owner may connect to."""

import ipaddress
from dataclasses import replace

from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.remote.account import Account, Deadlines, TargetPolicy
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK, Rule
from fetchrules.secrets.sealing import target_of, unseal

_USUAL = Deadlines()

MAIL_PORTS = frozenset({110, 143, 993, 995})


def account_of(row: FetchRule, source: SourceMailbox, deadlines: Deadlines = _USUAL) -> Account:
    """How to open `source` with the rule `row`. Raises PasswordUnreadable."""
    rule = row.as_rule(MASK)
    opened = replace(rule, password=unseal(row.password, target_of(rule)))
    return account_from(opened, source.folder, TlsLevel(row.tls_seen), deadlines, restricted=row.restricted)


def account_from(
    rule: Rule, folder: str, tls_seen: TlsLevel, deadlines: Deadlines = _USUAL, *, restricted: bool
) -> Account:
    """How to open `folder` as `rule`, which has its password, says. `tls_seen`: the best protection seen with it so far."""
    return Account(
        protocol=rule.protocol,
        host=rule.server.strip("[]"),
        port=rule.effective_port,
        user=rule.user,
        password=rule.password,
        encryption=rule.encryption,
        verify=rule.sslcertck,
        fingerprint=rule.sslfingerprint,
        tls_seen=tls_seen,
        folder=folder,
        deadlines=deadlines if rule.timeout is None else replace(deadlines, idle=float(rule.timeout)),
        targets=targets_of(restricted=restricted),
    )


def targets_of(*, restricted: bool) -> TargetPolicy:
    """Where a rule may connect to: anywhere, or if it is restricted, public mail servers and the allowed networks."""
    if not restricted:
        return TargetPolicy()
    networks = ServiceSettings.current().owner_networks.split()
    return TargetPolicy(
        public_only=True,
        ports=MAIL_PORTS,
        allowed_networks=tuple(ipaddress.ip_network(network) for network in networks),
    )
