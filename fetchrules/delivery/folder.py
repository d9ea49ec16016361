"""A Maildir++ folder's directory: `Работа/Счета` is `.<Работа>.<Счета>` beside cur/, in IMAP's modified UTF-7."""

import base64
import re

from fetchrules.errors import RecipientInvalid

MAX_NAME = 255

_BEYOND_ASCII = re.compile(r"[^ -~]+")


def folder_directory(folder: str) -> str:
    """The directory of `folder`, whose levels are parted by `/` or `.`. Raises RecipientInvalid."""
    levels = folder.replace("/", ".").split(".")
    if not folder.isprintable() or not all(levels):
        raise RecipientInvalid(f"no folder can be called {folder}")
    name = "." + ".".join(_modified_utf7(level) for level in levels)
    if len(name) > MAX_NAME:
        raise RecipientInvalid(f"the folder's name is too long: {folder}")
    return name


def _modified_utf7(text: str) -> str:
    """RFC 3501 §5.1.3, as Dovecot and Courier name directories. Base64's slash becomes a comma."""
    return _BEYOND_ASCII.sub(_shifted, text.replace("&", "&-"))


def _shifted(run: re.Match[str]) -> str:
    encoded = base64.b64encode(run[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode()}-"
