"""A text as tests have it: not parsed yet."""

from typing import Any

from fetchrules.rulebook import apply as applying
from fetchrules.rulebook import preview as previewing
from fetchrules.ruletext.document import parse


def preview(text: str, **options: Any) -> previewing.Preview:
    """What applying `text` would do."""
    return previewing.preview(parse(text), **options)


def apply(text: str, version: int, **options: Any) -> applying.Applied:
    """Make the rules say `text`."""
    return applying.apply(parse(text), version, **options)
