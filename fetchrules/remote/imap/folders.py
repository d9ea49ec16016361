"""Folder names: people write Unicode, IMAP says modified UTF-7 (RFC 3501 section 5.1.3)."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable

from fetchrules.errors import RemoteProtocolError
from fetchrules.remote.imap.syntax import Part, responses, values

_NOT_SELECTABLE = {b"\\noselect", b"\\nonexistent"}
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


def folders(data: Iterable[Part | None]) -> tuple[str, ...]:
    """The names in imaplib's list of answers to LIST (RFC 3501 section 7.2.2) that can be selected, as people write them."""
    names = []
    for parts in responses(data):
        match values(parts):
            case [list(attributes), _, bytes(name), *_]:
                lower = {one.lower() for one in attributes if isinstance(one, bytes)}
                if not lower & _NOT_SELECTABLE:
                    names.append(decode_folder(name.decode("utf-8", "replace")))
            case _:
                raise RemoteProtocolError("not an answer to LIST")
    return tuple(names)


def encode_folder(name: str) -> str:
    """`name` in modified UTF-7."""
    escaped = name.replace("&", "&-")
    return _UNPRINTABLE.sub(lambda run: _shift(run[0]), escaped)


def decode_folder(name: str) -> str:
    """The name that people see. What is no modified UTF-7 is taken as it is: servers that send UTF-8 exist."""
    try:
        return _SHIFTED.sub(lambda run: _unshift(run[1]), name)
    except ValueError:
        return name


def _shift(run: str) -> str:
    base64 = b64encode(run.encode("utf-16-be", "surrogatepass")).decode()
    return "&" + base64.rstrip("=").replace("/", ",") + "-"


def _unshift(run: str) -> str:
    if not run:
        return "&"
    padded = run.replace(",", "/") + "=" * (-len(run) % 4)
    return b64decode(padded, validate=True).decode("utf-16-be")
