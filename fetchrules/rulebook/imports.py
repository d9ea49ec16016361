"""Files of any format as a rule text that can be previewed and applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fetchrules.models import ServiceSettings
from fetchrules.rule import Spelling
from fetchrules.rulebook.text import Place, Stored, joined, stored_rules
from fetchrules.ruletext.document import Document, parse
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.formats.detection import Format, detect, import_foreign
from fetchrules.ruletext.formats.foreign import Imported, ImportedRule
from fetchrules.ruletext.matching import match
from fetchrules.ruletext.problem import Problem
from fetchrules.ruletext.render import render_rule


@dataclass(frozen=True, slots=True)
class Import:
    """A file as a rule text. `document` is the whole text with the file's rules in it; `problems` are those of the file itself.

    `origins`: for a file that is no rule text, its line for each line of `document` that comes from it.
    """

    format: Format
    document: Document
    problems: tuple[Problem, ...] = ()
    origins: Mapping[int, int] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_error)

    def at_origin(self, problem: Problem) -> Problem:
        """The problem of `document` with its place in the file."""
        if self.format is Format.TEXT:
            return problem
        return replace(problem, line=self.origins.get(problem.line, 0), column=1, length=0)


def read(content: str, form: Format | None = None, *, domain: str = "", replace_all: bool = False) -> Import:
    """Read the file `content`. `form` None: the format is detected.

    A rule text is taken as it is. The rules of another file are merged into the present text: the lines of known rules change as
    little as possible, new rules come last; with `replace_all`, rules that are not in the file go. `domain` completes local names
    without one; empty: the only local domain does.
    """
    form = form or detect(content)
    if form is Format.TEXT:
        return Import(form, parse(content))
    imported = import_foreign(content, form, domain or ServiceSettings.current().only_domain)
    text, origins = _set_into(imported, replace_all=replace_all)
    return Import(form, parse(text), imported.problems, origins)


def _set_into(imported: Imported, *, replace_all: bool) -> tuple[str, dict[int, int]]:
    """The present text with the imported rules in it, and the lines of the file from which their lines come."""
    stored = list(stored_rules())
    matches = match([found.rule for found in imported.found], [item.rule for item in stored])
    known = {item.old: found for item, found in zip(matches, imported.found, strict=True) if item}
    places: list[tuple[Place, ImportedRule | None]] = []
    above = ""
    for number, item in enumerate(stored):
        found = known.get(number)
        if found is None and replace_all:
            above += item.row.before
        else:
            places.append((_edited(item, found, above), found))
            above = ""
    settings = ServiceSettings.current()
    above += settings.text_tail
    for match_of_new, new in zip(matches, imported.found, strict=True):
        if match_of_new is None:
            places.append((_new(new, above), new))
            above = ""
    below = above + "".join(f"{comment}\n" for comment in imported.comments)
    return "".join(joined(settings.text_start, (place for place, _ in places), below)), _origins(places)


def _edited(stored: Stored, found: ImportedRule | None, above: str) -> Place:
    """The place of a known rule, with its line changed into the imported rule."""
    place = replace(stored.place, before=above + stored.place.before)
    if found is None or stored.line.rule is None:
        return place
    return replace(place, line=edit(stored.line, found.rule).text)


def _new(found: ImportedRule, above: str) -> Place:
    ended = above if not above or above.endswith(("\n", "\r")) else above + "\n"
    comments = "".join(f"{comment}\n" for comment in found.comments)
    return Place(ended + comments, render_rule(found.rule, Spelling.BLANKS), "\n")


def _origins(places: Sequence[tuple[Place, ImportedRule | None]]) -> dict[int, int]:
    origins: dict[int, int] = {}
    line = 1
    for place, found in places:
        line += len(place.before.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        if found:
            origins[line] = found.line
        line += 1
    return origins
