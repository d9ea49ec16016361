"""From a rule to the account that a protocol client opens: the password unsealed, and where its owner may connect to."""

import ipaddress
from dataclasses import replace

from fetchrules.models import FetchRule, ServiceSettings, SourceMailbox
from fetchrules.remote.account import Account, Deadlines, TargetPolicy
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK
from fetchrules.secrets.sealing import target_of, unseal

_USUAL = Deadlines()

MAIL_PORTS = frozenset({110, 143, 993, 995})


def account_of(rule: FetchRule, source: SourceMailbox, deadlines: Deadlines = _USUAL) -> Account:
    """How to open `source` as `rule` says. Raises PasswordUnreadable."""
    spec = rule.as_rule(MASK)
    return Account(
        protocol=spec.protocol,
        host=spec.server.strip("[]"),
        port=spec.effective_port,
        user=spec.user,
        password=unseal(rule.password, target_of(spec)),
        encryption=spec.encryption,
        verify=spec.sslcertck,
        fingerprint=spec.sslfingerprint,
        tls_seen=TlsLevel(rule.tls_seen),
        folder=source.folder,
        deadlines=deadlines if spec.timeout is None else replace(deadlines, idle=float(spec.timeout)),
        targets=targets_of(rule),
    )


def targets_of(rule: FetchRule) -> TargetPolicy:
    """Where this rule may connect to: anywhere, or public mail servers and what is allowed."""
    if not rule.restricted:
        return TargetPolicy()
    networks = ServiceSettings.current().owner_networks.split()
    return TargetPolicy(
        public_only=True,
        ports=MAIL_PORTS,
        allowed_networks=tuple(ipaddress.ip_network(network) for network in networks),
    )
