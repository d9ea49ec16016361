"""Rules as JSON, for scripts and other machines. The format is versioned and described in docs/.

    {"format": "utm-mail-rules", "version": 1, "rules": [
    {"server": "mailserver.ru", "protocol": "pop3", "user": "petrov", "password": "********", "recipient": "i.petrov@mydomain.ru"},
    …
    ]}

A rule's keys are the fields of `Rule`; one that is left out has its default. Numbers are in the units of the rule line.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import repeat

from fetchrules.errors import printable
from fetchrules.rule import FIELDS, MASK, MAX_RULES, Auth, Rule
from fetchrules.ruletext.formats.foreign import Imported, ImportedRule, UnreadableEntry, imported
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.validate import auth_fault

FORMAT = "utm-mail-rules"
VERSION = 1

_MAX_WORD = 40
_LIST = re.compile(r'"rules"\s*:\s*\[\s*')
_SEPARATOR = re.compile(r"\s*,?\s*")


def export_json(rules: Iterable[Rule]) -> Iterator[str]:
    """The file in pieces: one rule a line, defaults left out."""
    yield f'{{"format": "{FORMAT}", "version": {VERSION}, "rules": [\n'
    separator = ""
    for rule in rules:
        yield separator + json.dumps(as_json(rule), ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def as_json(rule: Rule) -> dict[str, object]:
    """What JSON says of a rule: its required fields, and the others where they are not the default."""
    values = {name: getattr(rule, name) for name, field in FIELDS.items() if getattr(rule, name) != field.default}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def import_json(text: str) -> Imported:
    """The rules of a JSON file. A missing password means the stored one."""
    try:
        content = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        return Imported(problems=(Problem(Code.JSON_INVALID, line=error.lineno, column=error.colno),))
    except (RecursionError, ValueError):  # nested a thousand times over; a number of thousands of digits
        return Imported(problems=(Problem(Code.JSON_INVALID, line=1, column=1),))
    items = content.get("rules") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(items, list):
        return Imported(problems=(Problem(Code.JSON_NO_RULES, line=1, column=1, word=FORMAT),))
    if content.get("version") != VERSION:
        return Imported(problems=(Problem(Code.JSON_VERSION, line=1, column=1, word=str(VERSION)),))
    if len(items) > MAX_RULES:
        return Imported(problems=(Problem(Code.TOO_MANY_RULES, line=1, column=1, maximum=MAX_RULES),))
    found: list[ImportedRule] = []
    problems: list[Problem] = []
    for item, (line, column) in zip(items, _places(text, len(items)), strict=True):
        try:
            found.append(ImportedRule(_rule(item), line, column))
        except UnreadableEntry as error:
            problems.append(replace(error.problem, line=line, column=column))
    return imported(found, problems)


def _rule(item: object) -> Rule:
    if not isinstance(item, dict):
        raise UnreadableEntry(Problem(Code.JSON_VALUE_INVALID, word="rules"))
    if unknown := next((name for name in item if name not in FIELDS), None):
        raise UnreadableEntry(Problem(Code.JSON_FIELD_UNKNOWN, word=printable(unknown, _MAX_WORD)))
    values: dict[str, object] = {"password": MASK, **item}
    if missing := next((name for name, field in FIELDS.items() if field.is_required and name not in values), None):
        raise UnreadableEntry(Problem(Code.JSON_FIELD_MISSING, field=missing, word=missing))
    rule = Rule(**{name: _value(name, value) for name, value in values.items()})  # type: ignore[arg-type]  # checked by _value
    return replace(rule, encryption=rule.encryption.with_check) if item.get("sslcertck") else rule


def _value(name: str, value: object) -> object:
    """The value of one field, if it is of the field's type."""
    field = FIELDS[name]
    if issubclass(field.type, StrEnum):
        if isinstance(value, str) and value in list(field.type):
            return field.type(value)
    elif field.type is tuple:
        if name == "sslfingerprint" and isinstance(value, str):  # older exports have a single one
            value = [value] if value else []
        if isinstance(value, list) and all(map(field.may_hold, value)):
            return tuple(dict.fromkeys(map(tuple, value) if field.holds_pairs else value))
    elif type(value) is field.type or (value is None and field.default is None):
        return value
    if field.type is Auth and isinstance(value, str) and (code := auth_fault(value)):
        raise UnreadableEntry(Problem(code, field=name, word=printable(value, _MAX_WORD)))
    raise UnreadableEntry(Problem(Code.JSON_VALUE_INVALID, field=name, word=name))


def _places(text: str, count: int) -> Iterator[tuple[int, int]]:
    """Line and column of each of the `count` items of the list of rules.

    Where another list of that name stands before ours, they all get the place of the last item that was found.
    """
    start = _LIST.search(text)
    at = start.end() if start else 0
    line, line_start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    decoder = json.JSONDecoder()
    for number in range(count):
        yield line, at - line_start + 1
        try:
            end = decoder.raw_decode(text, at)[1]
        except json.JSONDecodeError:
            yield from repeat((line, at - line_start + 1), count - number - 1)
            return
        separator = _SEPARATOR.match(text, end)
        after = separator.end() if separator else end
        line += text.count("\n", at, after)
        line_start = max(text.rfind("\n", at, after) + 1, line_start)
        at = after
