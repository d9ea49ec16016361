"""Every event of the audit has its words, and no words stand for an event that nothing writes."""

import ast
from collections.abc import Iterator
from pathlib import Path

from fetchrules.words.events import EVENTS

PRODUCT = Path(__file__).resolve().parents[2] / "fetchrules"


def strings_in(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be; of an account or a group, both."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from strings_in(node.body)
            yield from strings_in(node.orelse)
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(end))]):
            yield from (f"account{end}", f"group{end}")


def written() -> Iterator[str]:
    for path in (PRODUCT / "acts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in {"audit.record", "audit.record_each", "audit.record_stranger"}:
                    yield from strings_in(node.args[1])
                elif name in {"_done", "_follow_up"}:
                    yield from strings_in(node.args[0])


REFUSALS = {"login_refused", "password_refused"}
"""`attempts.is_right` is handed these by the forms that ask for a password."""


def test_every_event_has_words_and_every_word_an_event() -> None:
    assert {*written(), *REFUSALS} == set(EVENTS)


def test_the_forms_that_ask_for_a_password_say_which_refusal_it_is() -> None:
    forms = (PRODUCT / "panel" / "forms" / "account.py").read_text(encoding="utf-8")
    assert {word for word in EVENTS if word.endswith("_refused") and f'"{word}"' in forms} == REFUSALS
