"""What a request asks for, as far as a database can take it: numbers that a column can hold, words to search for, a page."""

from collections.abc import Iterable
from typing import TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

M = TypeVar("M", bound=Model)

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


def search(rows: QuerySet[M], text: str, *columns: str) -> QuerySet[M]:
    """Those of `rows` in which each word of `text` stands in one of `columns`, whatever its case.

    Only the first MOST_WORDS words count: SQLite refuses a condition of a thousand parts.
    """
    for word in text.split()[:MOST_WORDS]:
        rows = rows.filter(Q.create([(f"{column}__icontains", word) for column in columns], connector=Q.OR))
    return rows


def page_of(request: HttpRequest, rows: QuerySet[M], size: int) -> Page[M]:
    """The page of `rows` that the URL names; the first one or the last one where it names none that there is."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


def back(request: HttpRequest, otherwise: str = "rules") -> str:
    """The page that the form says it stood on, if that is one of ours; else the page named `otherwise`."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return target
    return reverse(otherwise)
