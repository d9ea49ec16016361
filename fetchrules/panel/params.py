"""What comes with a request, as far as a database can take it: numbers that a column can hold, words to search for."""

from collections.abc import Iterable

LARGEST = 2**63 - 1
_DIGITS = len(str(LARGEST))
MOST_WORDS = 20


def number(text: str) -> int | None:
    """The number that `text` writes in decimal digits; None for anything else, and for what no column of ours can hold."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        return None
    found = int(text)
    return found if found <= LARGEST else None


def numbers(texts: Iterable[str]) -> list[int]:
    """Those of `texts` that are numbers."""
    return [found for text in texts if (found := number(text)) is not None]


def words(text: str) -> list[str]:
    """The words of a search, the first MOST_WORDS of them: SQLite refuses a condition of a thousand parts."""
    return text.split()[:MOST_WORDS]
