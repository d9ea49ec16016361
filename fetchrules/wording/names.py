"""What people call a remote mailbox."""


def source_name(user: str, host: str) -> str:
    """The login, which often is the whole address; else the login at its server."""
    return user if "@" in user else f"{user}@{shown_host(host)}"


def shown_host(host: str) -> str:
    """A name of other scripts as its owners write it (RFC 3490), not as DNS does."""
    try:
        return host.encode("ascii").decode("idna") if "xn--" in host else host
    except UnicodeError:
        return host
