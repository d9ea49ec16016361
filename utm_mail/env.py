"""The only reader of the environment. `NAME_FILE` may name a file that holds the value of `NAME`.

The panel's own files lie beside the code in a checkout. A wheel carries templates/, static/ and the manual in `utm_mail/files`
(setup.py), so that directory tells an installation from a checkout. An editable installation counts as a checkout.
"""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PACKAGE = Path(__file__).resolve().parent
_CARRIED = _PACKAGE / "files"

CHECKOUT = None if _CARRIED.is_dir() else _PACKAGE.parent
"""The root of the checkout that this code runs from, if it does."""
FILES = CHECKOUT or _CARRIED
"""The directory of templates/, static/ and docs/."""
TRANSLATIONS = _PACKAGE.parent / "fetchrules" / "locale"
COMMAND = "python manage.py" if CHECKOUT else "utm-mail"
"""How users call the command line."""


class BadEnvironment(Exception):
    """A variable has an unusable value. The message names the variable and says what is expected."""


def read(name: str, default: str = "") -> str:
    """The value of `name`, or the content of the file named by `name`_FILE. Raises BadEnvironment."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadEnvironment(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
    return os.environ.get(name, default)


def default_data(checkout: Path | None, *, root: bool) -> Path:
    """The data directory without UTM_MAIL_DATA: in the checkout, else the system's place for data of services or of users."""
    if checkout:
        return checkout / "var"
    if root:
        return Path("/var/lib/utm-mail")
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))  # the XDG specification ignores relative paths
    return (shared if shared.is_absolute() else Path("~/.local/share")) / "utm-mail"


def data_directory() -> Path:
    """The data directory. The demonstration has a default of its own. Raises BadEnvironment."""
    place = default_data(CHECKOUT, root=os.geteuid() == 0)
    data = Path(read("UTM_MAIL_DATA") or (place / "demo" if boolean("UTM_MAIL_DEMO") else place))
    try:
        return data.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        raise BadEnvironment(f"UTM_MAIL_DATA: cannot use {data}: {error}") from error


def make_directory(data: Path) -> None:
    """Make the data directory unless it is there. Raises BadEnvironment."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadEnvironment(f"UTM_MAIL_DATA: cannot make {data}: {error.strerror}") from error


def boolean(name: str) -> bool:
    """The value of the variable `name` as a boolean; False if it is not set. Raises BadEnvironment."""
    value = read(name).lower()
    if value in {"", "0", "no", "false", "off"}:
        return False
    if value in {"1", "yes", "true", "on"}:
        return True
    raise BadEnvironment(f"{name}: expected 1 or 0, not {value!r}")


def positive(name: str, default: int) -> int:
    """The value of the variable `name` as a positive number. Raises BadEnvironment."""
    value = read(name, str(default))
    if not value.isascii() or not value.isdigit() or not int(value):
        raise BadEnvironment(f"{name}: expected a positive number, not {value!r}")
    return int(value)


def one_of(name: str, words: tuple[str, ...]) -> str:
    """The value of the variable `name`, one of these words, the first if it is not set. Raises BadEnvironment."""
    value = read(name, words[0]).lower()
    if value not in words:
        raise BadEnvironment(f"{name}: expected {' or '.join(words)}, not {value!r}")
    return value


def networks(name: str, default: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The comma-separated networks in the variable `name`. Raises BadEnvironment."""
    try:
        return tuple(ip_network(part.strip()) for part in read(name, default).split(",") if part.strip())
    except ValueError as error:
        raise BadEnvironment(f"{name}: expected networks as 192.0.2.0/24, by comma: {error}") from error


def mail_server(url: str) -> dict[str, object]:
    """Django's EMAIL settings for smtp://[user:password@]host[:port], smtp+starttls://… or smtps://…. Raises BadEnvironment."""
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
