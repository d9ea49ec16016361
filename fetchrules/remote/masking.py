"""Our secrets in what a server says: it may give a password back as it came, in capitals, escaped, or cut short.

Masked is what people are shown: a journal, an error, a log. What decides anything is read from the octets themselves.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MASKED = "********"

PREFIX = 8
"""Characters of a secret that are masked wherever they stand, whether or not the rest of it follows; a shorter one, as a whole."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What is never shown of an account, the longest form first."""

    forms: tuple[str, ...]
    begun: re.Pattern[str]
    """Where one of them may begin."""

    @classmethod
    def of(cls, *secrets: str) -> "Secrets":
        """Each of `secrets` as it is, and as Python shows octets, which is how imaplib quotes a server."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        ordered = tuple(sorted(forms, key=len, reverse=True))
        return cls(ordered, re.compile("|".join(re.escape(form[:PREFIX]) for form in ordered), re.IGNORECASE))

    def masked(self, text: str) -> str:
        """`text` without the secrets, in whatever case, nor what they begin with."""
        return "".join(self._parts(text)) if self.forms else text

    def _parts(self, text: str) -> Iterator[str]:
        position = 0
        while found := self.begun.search(text, position):
            yield text[position : found.start()]
            yield MASKED
            position = max(found.end(), *(found.start() + _shared(form, text, found.start()) for form in self.forms))
        yield text[position:]


def _shared(secret: str, text: str, start: int) -> int:
    """How many characters of `secret` stand in `text` from `start` on, in whatever case."""
    there = text[start : start + len(secret)]
    for count, (one, other) in enumerate(zip(secret, there, strict=False)):
        if one.lower() != other.lower() and one.upper() != other.upper():
            return count
    return len(there)


def _forms(secret: str) -> frozenset[str]:
    shown = secret.encode().decode("latin-1").encode("unicode_escape").decode("ascii")
    return frozenset({secret, shown, shown.replace("'", "\\'")})
