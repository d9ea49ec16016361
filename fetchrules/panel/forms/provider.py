"""Choosing a mail service by name."""

from typing import Any

from django import forms

from fetchrules.rule import Protocol
from fetchrules.words.providers import provider_named


class ProviderSelect(forms.Select):
    """The mail services, each option with the servers that it fills in."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Select's, with data attributes."""
        option = super().create_option(name, value, *args, **kwargs)
        if provider := provider_named(str(value)):
            option["attrs"] |= {f"data-{protocol}": host for protocol, host in provider.hosts.items()}
            option["attrs"] |= {"data-encryption": provider.encryption.value, "data-hint": str(provider.login)}
        return option


def with_provider(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the server of the mail service that was chosen, where none was entered."""
    provider = provider_named(data.get("provider", ""))
    if not provider or data.get("server"):
        return data
    asked = Protocol(data.get("protocol") or Protocol.POP3)
    protocol = asked if asked in provider.hosts else Protocol.IMAP
    data |= {
        "server": provider.hosts[protocol],
        "protocol": protocol.value,
        "encryption": provider.encryption.value,
    }
    return data
