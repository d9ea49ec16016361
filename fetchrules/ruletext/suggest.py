"""The known word nearest to a misspelt one, for “perhaps …”."""

import functools
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from fetchrules.rule import OPTIONS, PROTOCOL_WORDS, Auth

_ALSO_CALLED = {
    "all": "fetchall",
    "any": "fetchall",
    "authenticate": "auth",
    "delete": "nokeep",
    "disabled": "skip",
    "mailbox": "folder",
    "nossl": "plaintext",
    "off": "skip",
    "size": "limit",
    "stls": "starttls",
    "tls": "starttls",
}
_PROTOCOL_ALSO_CALLED = {"imap4": "imap", "imap4rev1": "imap", "pop": "pop3", "pop2": "pop3", "ssl": "pop3s"}
_AUTH_ALSO_CALLED = {"cram": "cram-md5", "pass": "password", "scram": "scram-sha-256", "user": "password"}
_SIMILARITY = 0.7
"""One letter of four may be wrong, or two of seven (`difflib`)."""
_ON = frozenset({"", "1", "on", "true", "y", "yes"})
_OFF = frozenset({"0", "false", "n", "no", "off"})
_LOOKS_LIKE = str.maketrans("авекмнорстухіѕј", "abekmhopctyxisj")
"""Cyrillic letters, and the Latin ones that look like them."""
_SAME_KEY = str.maketrans("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm")
"""Letters of the Russian layout, and the Latin ones on the same keys."""


@functools.lru_cache(maxsize=1024)
def suggest_option(word: str) -> str:
    """The option word that `word` was probably meant to be; empty when none is near. `limit=5` gives `limit 5`, `keep=1` `keep`."""
    name, sign, value = word.lower().partition("=")
    if sign and name in OPTIONS:
        if OPTIONS[name].takes:
            return f"{name} {value}".rstrip()
        if value in _ON:
            return name
        return f"no{name}" if value in _OFF and f"no{name}" in OPTIONS else ""
    return _nearest(word, OPTIONS, _ALSO_CALLED)


def suggest_protocol(word: str) -> str:
    """The protocol word that `word` was probably meant to be; empty when none is near."""
    return _nearest(word, PROTOCOL_WORDS, _PROTOCOL_ALSO_CALLED)


def suggest_auth(word: str) -> str:
    """The way to log in that `word` was probably meant to be; empty when none is near."""
    return _nearest(word, Auth, _AUTH_ALSO_CALLED)


def _nearest(word: str, known: Iterable[str], also_called: Mapping[str, str]) -> str:
    """The known word nearest to `word`, or to what `word` looks like or was typed as if not all of its letters are Latin."""
    readings = [word.lower()]
    if not word.isascii():
        readings += [
            unicodedata.normalize("NFKC", readings[0]).translate(_LOOKS_LIKE),
            readings[0].translate(_SAME_KEY),
        ]
    for reading in readings:
        # Of words that are about as near, one that begins alike was meant: people seldom mistype the first letter.
        close = sorted(get_close_matches(reading, known, 3, _SIMILARITY), key=lambda one: one[0] != reading[0])
        for found in (also_called.get(reading), *close):
            if found:
                return found
    return ""
