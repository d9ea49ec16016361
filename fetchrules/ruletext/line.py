"""One line of the text: its characters, and the rule or the problems in it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.ruletext.lexer import Kind, Token, lex
from fetchrules.ruletext.parser import read
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.render import bar_field, blank_field
from fetchrules.ruletext.validate import harmful_character

MAX_LINE = 8192
"""Characters that a line may have."""

_MIN_COMMENTED_RULE = len("#a:pop3 u p r@d")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was written. `tokens` joined are its text; `ending` is the line break behind it, empty at the end of a file.

    `rule` is None for a blank line, a comment, and a line with an error; `spelling` is None where no rule was meant.
    """

    tokens: tuple[Token, ...] = ()
    ending: str = ""
    number: int = 1
    spelling: Spelling | None = None
    rule: Rule | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """The line without its ending."""
        return "".join(token.text for token in self.tokens)

    @property
    def is_broken(self) -> bool:
        """Whether a rule was meant here and could not be read."""
        return any(problem.is_error for problem in self.problems)

    def token(self, kind: Kind) -> Token:
        """The first token of `kind`; a line with a rule has one of each leading field."""
        return next(token for token in self.tokens if token.kind is kind)

    @property
    def masked_text(self) -> str:
        """The line without its ending, with MASK for its password. A broken line, any part of which may be one, is MASK only."""
        if self.rule is None:
            return MASK if self.is_broken else self.text
        return self.text_with_password(MASK)

    def with_password(self, password: str) -> "Line":
        """This line with another password. Only for a line with a rule."""
        return parse_line(self.text_with_password(password), self.number, self.ending)

    def text_with_password(self, password: str) -> str:
        """The text of `with_password`. The new password gets the quotes of the old one."""
        token = self.token(Kind.PASSWORD)
        written = bar_field(password) if self.spelling is Spelling.BARS else blank_field(password, like=token.text)
        text = self.text
        return text[: token.start] + written + text[token.start + len(token.text) :]


def parse_line(text: str, number: int = 1, ending: str = "") -> Line:
    """The line `text` (without its ending), whatever it holds. `number` is its place in the text, for its problems."""
    if len(text) > MAX_LINE:
        problem = Problem(
            Code.LINE_TOO_LONG, line=number, column=MAX_LINE + 1, length=len(text) - MAX_LINE, maximum=MAX_LINE
        )
        return opaque_line(text, problem, ending)
    lexed = lex(text)
    rule, problems = read(lexed)
    if lexed.spelling is None:
        problems += _advice_on_comment(lexed.tokens)
    placed = tuple(replace(problem, line=number) for problem in problems)
    return Line(lexed.tokens, ending, number, lexed.spelling, rule, placed)


def harmful_problems(line: Line) -> Iterator[Problem]:
    """The places of harmful characters in the fields of a rule that are shown (`validate.SHOWN`)."""
    for token in line.tokens if line.rule else ():
        if token.kind in _SHOWN and (found := harmful_character(token.value or "")):
            problem = Problem(Code.CHARACTER_HARMFUL, field=_SHOWN[token.kind], word=f"U+{ord(found):04X}")
            yield replace(problem, line=line.number, column=token.start + 1, length=len(token.text))


_SHOWN = {Kind.SERVER: "server", Kind.USER: "user", Kind.RECIPIENT: "recipient", Kind.VALUE: "folders"}


def opaque_line(text: str, problem: Problem, ending: str = "") -> Line:
    """A line that is not parsed; `problem` says why."""
    return Line((Token(Kind.STRAY, text, 0),), ending, problem.line, problems=(problem,))


def _advice_on_comment(tokens: tuple[Token, ...]) -> tuple[Problem, ...]:
    """A warning if the comment is a rule behind `#`, because its password is shown."""
    comment = tokens[-1] if tokens else None
    if comment is None or len(comment.text) < _MIN_COMMENTED_RULE or ":" not in comment.text:
        return ()
    if read(lex(comment.text.lstrip("# \t")))[0] is None:
        return ()
    return (Problem(Code.PASSWORD_IN_COMMENT, column=comment.start + 1, length=len(comment.text)),)
