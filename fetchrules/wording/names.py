"""What people call a remote mailbox."""


def source_name(user: str, host: str) -> str:
    """The login, which often is the whole address; else the login at its server."""
    return user if "@" in user else f"{user}@{host}"
