"""Did you mean …? The known word nearest to a misspelt one."""

import functools
import unicodedata
from collections.abc import Iterator

from fetchrules.rule import OPTIONS, PROTOCOL_WORDS

_ALSO_CALLED = {
    "all": "fetchall",
    "any": "fetchall",
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
_ON = frozenset({"", "1", "on", "true", "y", "yes"})
_OFF = frozenset({"0", "false", "n", "no", "off"})
_LOOKS_LIKE = str.maketrans("авекмнорстухіѕј", "abekmhopctyxisj")
"""Cyrillic letters, and the Latin ones that look like them."""
_SAME_KEY = str.maketrans("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm")
"""What the keys say when the Russian layout was forgotten."""


@functools.lru_cache(maxsize=1024)
def suggest_option(word: str) -> str:
    """The option word that `word` was probably meant to be; empty when none is near. `limit=5` gives `limit 5`, `keep=1` `keep`."""
    name, sign, value = word.lower().partition("=")
    if sign and name in OPTIONS:
        return _with_value(name, value)
    return next(filter(None, (_ALSO_CALLED.get(one) or _nearest(one, tuple(OPTIONS)) for one in _readings(word))), "")


def suggest_protocol(word: str) -> str:
    """The protocol word that `word` was probably meant to be; empty when none is near."""
    known = tuple(PROTOCOL_WORDS)
    return next(filter(None, (_PROTOCOL_ALSO_CALLED.get(one) or _nearest(one, known) for one in _readings(word))), "")


def _with_value(name: str, value: str) -> str:
    if OPTIONS[name].takes:
        return f"{name} {value}".rstrip()
    if value in _ON:
        return name
    return f"no{name}" if value in _OFF and f"no{name}" in OPTIONS else ""


def _readings(word: str) -> Iterator[str]:
    """The word, and what it looks like or was typed as, where not all of its letters are Latin."""
    word = word.lower()
    yield word
    if not word.isascii():
        yield unicodedata.normalize("NFKC", word).translate(_LOOKS_LIKE)
        yield word.translate(_SAME_KEY)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    reach = 1 if len(word) <= 4 else 2
    found = [
        (distance, index) for index, name in enumerate(known) if (distance := _distance(word, name, reach)) <= reach
    ]
    return known[min(found)[1]] if found else ""


def _distance(one: str, other: str, reach: int) -> int:
    """How many letters to add, drop, change or swap with the next; anything above `reach` means "too many"."""
    if abs(len(one) - len(other)) > reach or len(set(one).difference(other)) > reach:
        return reach + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > reach:
            return reach + 1
    return row[-1]
