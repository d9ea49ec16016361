"""What people call a remote mailbox. What acts on a page or a terminal instead of being shown is escaped."""

from fetchrules.errors import harmless


def source_name(user: str, host: str) -> str:
    """The login, which often is the whole address; else the login at its server."""
    return harmless(user) if "@" in user else f"{harmless(user)}@{shown_host(host)}"


def shown_host(host: str) -> str:
    """A name of other scripts as its owners write it (RFC 3490), not as DNS does."""
    try:
        return harmless(host.encode("ascii").decode("idna") if "xn--" in host else host)
    except UnicodeError:
        return harmless(host)
