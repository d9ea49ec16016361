"""Settings that would lose mail or leak it, as system checks with ids and hints."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import DatabaseError, connections

from fetchrules.poll import destinations
from fetchrules.secrets.private_file import open_to_others
from fetchrules.secrets.sealed import rules_without_key
from fetchrules.secrets.sealing import key_ring


@register
def check_delivery(**_: Any) -> list[CheckMessage]:
    """utm_mail.E001: letters have to have somewhere to go."""
    hint = "Write maildir:/path/{domain}/{local} with or without ?folder=NAME, lmtp:/path/to/socket, lmtp://host:port or smtp://host:port."
    try:
        destinations.check_delivery(settings.UTM_MAIL_DELIVERY)
    except ValueError as error:
        return [Error(f"UTM_MAIL_DELIVERY: {error}.", hint=hint, id="utm_mail.E001")]
    return []


@register
def check_keys(**_: Any) -> list[CheckMessage]:
    """utm_mail.E002: without a key no stored password can be read. A missing file is none yet: `check_sealed` knows better."""
    try:
        key_ring()
    except (ValueError, OSError) as error:
        hint = "UTM_MAIL_KEYS, or the file `keys` in the data directory, holds one id:base64 of 32 octets a line."
        return [Error(f"The password keys cannot be read: {error}.", hint=hint, id="utm_mail.E002")]
    return []


@register(Tags.database)
def check_sealed(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """utm_mail.W004: mail of rules whose key is not at hand is not collected."""
    try:
        missing = rules_without_key(key_ring()) if databases else 0
    except (DatabaseError, ValueError, OSError):
        return []  # what is wrong with the database or with the keys, other checks say
    if not missing:
        return []
    hint = "Bring the key file back, or name the keys in UTM_MAIL_KEYS. If they are lost for good: rotate_keys --lost."
    return [Caution(f"The passwords of {missing} rules have no key at hand.", hint=hint, id="utm_mail.W004")]


@register
def check_data_directory(**_: Any) -> list[CheckMessage]:
    """utm_mail.W001: passwords' keys, sessions and hashes lie there. A start mends what is ours; this is what it could not."""
    found = [str(path) for path in open_to_others(settings.DATA_DIR, settings.DATABASE_FILE)]
    if not found:
        return []
    hint = f"chmod go-rwx {' '.join(found)}"
    return [Caution(f"Others on this machine may look into {', '.join(found)}.", hint=hint, id="utm_mail.W001")]


@register
def check_plain_http(**_: Any) -> list[CheckMessage]:
    """utm_mail.W002: passwords and sessions travel readable to a panel that others reach without TLS."""
    if settings.SESSION_COOKIE_SECURE:
        return []
    others = [host for host in settings.ALLOWED_HOSTS if host not in {"localhost", "127.0.0.1", "[::1]"}]
    if not others and not settings.SECURE_PROXY_SSL_HEADER:
        return []
    hint = "Put a proxy with TLS in front, and set UTM_MAIL_BEHIND_PROXY=1 and UTM_MAIL_INSECURE_HTTP=0."
    return [Caution("The panel may be used without TLS from elsewhere.", hint=hint, id="utm_mail.W002")]


@register
def check_proxies(**_: Any) -> list[CheckMessage]:
    """utm_mail.W003: where everybody passes for the proxy, everybody passes for anybody."""
    if all(network.prefixlen for network in settings.UTM_MAIL_TRUSTED_PROXIES):
        return []
    hint = "UTM_MAIL_TRUSTED_PROXIES names the addresses of the proxies, and of nothing else."
    return [Caution("Everybody is trusted as a proxy.", hint=hint, id="utm_mail.W003")]


@register(Tags.database)
def check_durability(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """utm_mail.E003: a ledger that forgets its last seconds in a power cut delivers letters twice."""
    return [message for alias in databases or () for message in _not_durable(alias)]


def _not_durable(alias: str) -> list[CheckMessage]:
    wanted = {
        "sqlite": {"PRAGMA synchronous": {"2", "3"}},
        "postgresql": {"SHOW synchronous_commit": _DURABLE, "SHOW fsync": {"on"}},
    }
    connection = connections[alias]
    found: list[CheckMessage] = []
    try:
        with connection.cursor() as cursor:
            for question, good in wanted.get(connection.vendor, {}).items():
                cursor.execute(question)
                answer = str(cursor.fetchone()[0])
                if answer not in good:
                    hint = "Letters could be delivered twice after a power cut: use the settings that come with the product."
                    found.append(Error(f"{question} says {answer}.", hint=hint, id="utm_mail.E003"))
    except (DatabaseError, sqlite3.Error) as error:
        found.append(
            Error(f"The database does not answer: {error}.", hint="See UTM_MAIL_DATABASE_URL.", id="utm_mail.E004")
        )
    return found


_DURABLE = {"on", "remote_apply", "remote_write", "local"}
