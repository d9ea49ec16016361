"""The text of many lines. Every blank, comment and line break belongs to a line, so rendering is concatenation."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from fetchrules.rule import MAX_RULES
from fetchrules.ruletext.line import Line, opaque_line, parse_line
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Claims

MAX_OCTETS = 5_000_000
"""Size of a text in UTF-8."""
MAX_LINES = 100_000

_REFUSALS = frozenset({Code.TEXT_TOO_LONG, Code.TOO_MANY_LINES, Code.TOO_MANY_RULES})

_BYTE_ORDER_MARK = "\ufeff"

_RULE = re.compile(r"(?:^|(?<=[\r\n]))[^\S\r\n]*+[^\s#\ufeff]")
"""How a line begins that is neither empty nor a comment."""
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclass(frozen=True, slots=True)
class Document:
    """A text: its byte order mark if it has one (`start`), and its lines."""

    start: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        """The text, character for character."""
        return self.start + "".join(f"{line.text}{line.ending}" for line in self.lines)

    @property
    def masked_text(self) -> str:
        """The text with MASK for every password."""
        return self.start + "".join(f"{line.masked_text}{line.ending}" for line in self.lines)

    @property
    def is_refused(self) -> bool:
        """Whether the text is too long to be parsed."""
        return len(self.lines) == 1 and any(problem.code in _REFUSALS for problem in self.lines[0].problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, from the top of the text to its end."""
        return tuple(problem for line in self.lines for problem in line.problems)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the text from being applied."""
        return tuple(problem for problem in self.problems if problem.is_error)

    def with_lines(self, lines: Iterable[Line]) -> "Document":
        """The same as `parse` of the text of `lines`, which may come from other texts, without parsing them again."""
        lines = tuple(lines)
        body = "".join(f"{line.text}{line.ending}" for line in lines)
        return _document(self.start, body, (_placed(line, number) for number, line in enumerate(lines, 1)))


def parse(text: str) -> Document:
    """Any text as a document, whose `text` it is, broken lines included."""
    start = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text[len(start) :]
    found = enumerate(_LINE.finditer(body), 1)
    return _document(start, body, (parse_line(line[1], number, line[2]) for number, line in found if line[0]))


def _document(start: str, body: str, lines: Iterator[Line]) -> Document:
    """`lines` are those of `body`, not parsed yet if they need not be."""
    if too_much := _too_much(body):
        return Document(start, (opaque_line(body, too_much),))
    return Document(start, tuple(_without_taken_sources(lines)))


def _placed(line: Line, number: int) -> Line:
    """`line` as line `number` of another text. Whether its source is taken there is not known yet."""
    known = (replace(problem, line=number) for problem in line.problems if problem.code is not Code.SOURCE_TAKEN)
    return replace(line, number=number, problems=tuple(known))


def with_endings_of(text: str, present: str) -> str:
    """`text` with the line endings of `present`: an HTML text box makes all of them alike.

    A line that stands in both texts gets its own ending back; any other gets the most frequent one.
    """
    endings: dict[str, deque[str]] = defaultdict(deque)
    usual: Counter[str] = Counter()
    for found in _LINE.finditer(present):
        endings[found[1]].append(found[2])
        usual[found[2]] += bool(found[2])
    common = usual.most_common(1)[0][0] if usual.total() else "\n"
    *lines, last = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(line + ((endings[line] and endings[line].popleft()) or common) for line in lines) + last


def _too_much(body: str) -> Problem | None:
    """Why the text is too long to be parsed; None if it is not."""
    if len(body) > MAX_OCTETS or len(body.encode("utf-8", "surrogatepass")) > MAX_OCTETS:
        return Problem(Code.TEXT_TOO_LONG, line=1, column=1, maximum=MAX_OCTETS)
    if body.count("\n") + body.count("\r") > 2 * MAX_LINES or sum(1 for _ in _LINE.finditer(body)) > MAX_LINES + 1:
        return Problem(Code.TOO_MANY_LINES, line=MAX_LINES + 1, column=1, maximum=MAX_LINES)
    if sum(1 for _ in _RULE.finditer(body)) > MAX_RULES:
        return Problem(Code.TOO_MANY_RULES, line=1, column=1, maximum=MAX_RULES)
    return None


def _without_taken_sources(lines: Iterator[Line]) -> Iterator[Line]:
    """`lines`, with a problem where an earlier line reads the same remote mailbox and the two may not share it."""
    claims: Claims[int] = Claims()
    for line in lines:
        taken = claims.claim(line.rule, line.number) if line.rule else None
        if taken is None:
            yield line
        else:
            problem = Problem(Code.SOURCE_TAKEN, line=line.number, column=1, length=len(line.text), other=str(taken))
            yield replace(line, problems=(*line.problems, problem))
