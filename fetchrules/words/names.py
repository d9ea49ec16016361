"""Names of remote mailboxes, with control characters escaped."""

from fetchrules.errors import harmless


def source_name(user: str, host: str) -> str:
    """The login if it is a whole address, else the login at its server."""
    return harmless(user) if "@" in user else f"{harmless(user)}@{shown_host(host)}"


def shown_host(host: str) -> str:
    """The host name, with its IDNA labels decoded (RFC 3490)."""
    try:
        return harmless(host.encode("ascii").decode("idna") if "xn--" in host else host)
    except UnicodeError:
        return harmless(host)
