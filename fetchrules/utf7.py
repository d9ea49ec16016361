"""Modified UTF-7, in which IMAP and Maildir++ write the names of folders (RFC 3501 §5.1.3)."""

import re
from base64 import b64decode, b64encode

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode_folder(name: str) -> str:
    return _UNPRINTABLE.sub(lambda run: _shift(run[0]), name.replace("&", "&-"))


def decode_folder(name: str) -> str:
    """The readable name. Other text than modified UTF-7 stays as it is, for some servers send UTF-8."""
    try:
        return _SHIFTED.sub(lambda run: _unshift(run[1]), name)
    except ValueError:
        return name


def _shift(run: str) -> str:
    return f"&{b64encode(run.encode('utf-16-be', 'surrogatepass'), b'+,').decode().rstrip('=')}-"


def _unshift(run: str) -> str:
    if not run:
        return "&"
    return b64decode(run + "=" * (-len(run) % 4), b"+,", validate=True).decode("utf-16-be")
