"""Which format a text is in, and the rule text that it stands for."""

import re
from dataclasses import dataclass
from enum import StrEnum

from fetchrules.ruletext.document import parse
from fetchrules.ruletext.exchange import import_json
from fetchrules.ruletext.fetchmailrc.importer import import_fetchmailrc
from fetchrules.ruletext.foreign import Imported
from fetchrules.ruletext.postfixadmin import import_postfixadmin, looks_like_postfixadmin
from fetchrules.ruletext.problem import Problem


class Format(StrEnum):
    """What can be imported."""

    TEXT = "text"
    FETCHMAILRC = "fetchmailrc"
    JSON = "json"
    POSTFIXADMIN = "postfixadmin"


@dataclass(frozen=True, slots=True)
class Import:
    """A file as rule text. `problems` have the places of the file; with errors among them `text` may lack rules."""

    format: Format
    text: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the file from being applied."""
        return tuple(problem for problem in self.problems if problem.is_error)


_FETCHMAILRC = re.compile(r"(?:\s|#[^\n]*(?:\n|\Z))*(?:poll|skip|server|defaults|set)\s")


def detect(text: str) -> Format:
    """The format that `text` is most likely in: one that no other could be mistaken for, else the rule text."""
    body = text.removeprefix("\ufeff")
    if body.lstrip().startswith("{"):
        return Format.JSON
    if looks_like_postfixadmin(body):
        return Format.POSTFIXADMIN
    return Format.FETCHMAILRC if _FETCHMAILRC.match(body) else Format.TEXT


def read(text: str, form: Format, domain: str = "") -> Import:
    """`text`, which is in the format `form`, as rule text. `domain` completes a .fetchmailrc's local names that have none."""
    match form:
        case Format.TEXT:
            return Import(form, text, parse(text).problems)
        case Format.FETCHMAILRC:
            return _foreign(form, import_fetchmailrc(text, domain))
        case Format.JSON:
            return _foreign(form, import_json(text))
        case Format.POSTFIXADMIN:
            return _foreign(form, import_postfixadmin(text))


def _foreign(form: Format, imported: Imported) -> Import:
    return Import(form, imported.text(), imported.problems)
