"""Numbers that come with a request: only those that a database column can hold."""

from collections.abc import Iterable

LARGEST = 2**63 - 1
_DIGITS = len(str(LARGEST))


def number(text: str) -> int | None:
    """The number that `text` writes in decimal digits; None for anything else, and for what no column of ours can hold."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        return None
    found = int(text)
    return found if found <= LARGEST else None


def numbers(texts: Iterable[str]) -> list[int]:
    """Those of `texts` that are numbers."""
    return [found for text in texts if (found := number(text)) is not None]
