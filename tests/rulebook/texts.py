"""A text as tests have it: not parsed yet."""

from typing import Any

from django.contrib.auth.models import User

from fetchrules.rulebook import apply as applying
from fetchrules.rulebook import preview as previewing
from fetchrules.rulebook.preview import Choices
from fetchrules.ruletext.document import parse


def preview(text: str, **options: Any) -> previewing.Preview:
    """What applying `text` would do."""
    return previewing.preview(parse(text), Choices(**options))


def apply(
    text: str, version: int, *, by: User | None, told: str | None = None, note: str = "", **options: Any
) -> applying.Applied:
    """Make the rules say `text`."""
    return applying.apply(parse(text), version, Choices(**options), by=by, told=told, note=note)
