"""From `UTM_MAIL_ALERT_SMTP` to Django's EMAIL settings."""

from urllib.parse import unquote, urlsplit

from utm_mail.env import BadEnvironment


def mail_server(url: str) -> dict[str, object]:
    """For smtp://[user:password@]host[:port], smtp+starttls://… or smtps://…. Raises BadEnvironment."""
    parts = urlsplit(url)
    ports = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
    if parts.scheme not in ports or not parts.hostname:
        raise BadEnvironment("UTM_MAIL_ALERT_SMTP: expected smtp://, smtp+starttls:// or smtps:// and a host")
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or ports[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+starttls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }
