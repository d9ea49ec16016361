"""Settings that would lose mail or leak it, as system checks with ids and hints."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
def check_delivery(**_: Any) -> Iterator[CheckMessage]:
    """utm_mail.E001: letters need a destination."""
    hint = "Write maildir:/path/{domain}/{local} with or without ?folder=NAME, lmtp:/path/to/socket, lmtp://host:port or smtp://host:port."
    try:
        destinations.check_delivery(settings.UTM_MAIL_DELIVERY)
    except ValueError as error:
        yield Error(f"UTM_MAIL_DELIVERY: {error}.", hint=hint, id="utm_mail.E001")


@register
def check_keys(**_: Any) -> Iterator[CheckMessage]:
    """utm_mail.E002: without a key no stored password can be read. A missing file means that there is no key yet (see W004)."""
    try:
        key_ring()
    except (ValueError, OSError) as error:
        hint = "UTM_MAIL_KEYS, or the file `keys` in the data directory, holds one id:base64 of 32 octets a line."
        yield Error(f"The password keys cannot be read: {error}.", hint=hint, id="utm_mail.E002")


@register(Tags.database)
def check_sealed(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """utm_mail.W004: mail of rules whose key is not at hand is not collected."""
    missing = 0
    with suppress(DatabaseError, ValueError, OSError):  # other checks report the database and the keys
        missing = rules_without_key(key_ring()) if databases else 0
    if missing:
        hint = (
            "Bring the key file back, or name the keys in UTM_MAIL_KEYS. If they are lost for good: rotate_keys --lost."
        )
        yield Caution(f"The passwords of {missing} rules have no key at hand.", hint=hint, id="utm_mail.W004")


@register
def check_data_directory(**_: Any) -> Iterator[CheckMessage]:
    """utm_mail.W001: keys, sessions and password hashes lie there. A start closes what is ours; this finds the rest."""
    if found := [str(path) for path in open_to_others(settings.DATA_DIR, settings.DATABASE_FILE)]:
        hint = f"chmod go-rwx {' '.join(found)}"
        yield Caution(f"Others on this machine may look into {', '.join(found)}.", hint=hint, id="utm_mail.W001")


@register
def check_plain_http(**_: Any) -> Iterator[CheckMessage]:
    """utm_mail.W002: passwords and sessions can be read on their way to a panel that others reach without TLS."""
    others = set(settings.ALLOWED_HOSTS) - {"localhost", "127.0.0.1", "[::1]"}
    if not settings.SESSION_COOKIE_SECURE and (others or settings.SECURE_PROXY_SSL_HEADER):
        hint = "Put a proxy with TLS in front, and set UTM_MAIL_BEHIND_PROXY=1 and UTM_MAIL_INSECURE_HTTP=0."
        yield Caution("The panel may be used without TLS from elsewhere.", hint=hint, id="utm_mail.W002")


@register
def check_proxies(**_: Any) -> Iterator[CheckMessage]:
    """utm_mail.W003: a client that passes for the proxy can claim any address."""
    if not all(network.prefixlen for network in settings.UTM_MAIL_TRUSTED_PROXIES):
        hint = "UTM_MAIL_TRUSTED_PROXIES names the addresses of the proxies, and of nothing else."
        yield Caution("Everybody is trusted as a proxy.", hint=hint, id="utm_mail.W003")


_DURABLE = {
    "sqlite": {"PRAGMA synchronous": {"2", "3"}},
    "postgresql": {"SHOW synchronous_commit": {"on", "remote_apply", "remote_write", "local"}, "SHOW fsync": {"on"}},
}
"""By vendor: questions to the database, and their good answers."""


@register(Tags.database)
def check_durability(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """utm_mail.E003: a ledger that forgets its last seconds in a power cut delivers letters twice."""
    for alias in databases or ():
        connection = connections[alias]
        try:
            with connection.cursor() as cursor:
                for question, good in _DURABLE.get(connection.vendor, {}).items():
                    cursor.execute(question)
                    answer = str(cursor.fetchone()[0])
                    if answer not in good:
                        hint = "Letters could be delivered twice after a power cut: use the settings that come with the product."
                        yield Error(f"{question} says {answer}.", hint=hint, id="utm_mail.E003")
        except (DatabaseError, sqlite3.Error) as error:
            hint = "See UTM_MAIL_DATABASE_URL."
            yield Error(f"The database does not answer: {error}.", hint=hint, id="utm_mail.E004")
