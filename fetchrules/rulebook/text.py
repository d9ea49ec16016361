"""The rules as text, read from the rows, and as files of every format; with or without passwords."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from django.db.models import Q, TextChoices
from django.utils.translation import gettext_lazy as _

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.rule import MASK, Rule, Spelling
from fetchrules.rulebook.rows import line_of, password_of
from fetchrules.ruletext.document import with_endings_of
from fetchrules.ruletext.formats.exchange import export_json
from fetchrules.ruletext.formats.fetchmailrc.exporter import export_fetchmailrc
from fetchrules.ruletext.line import Line
from fetchrules.ruletext.render import render_rule

_CHUNK = 1000


class FileFormat(TextChoices):
    """The formats that rules can be downloaded in, with their names. The values are those of the command line."""

    TEXT = "text", _("Text as written, with comments")
    BLANKS = "utm-blanks", _("Rule lines with blanks")
    BARS = "utm-bars", _("Rule lines with bars")
    FETCHMAILRC = "fetchmailrc", ".fetchmailrc"
    JSON = "json", "JSON"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row with its line, masked; `line.rule` is what the row says unless somebody wrote nonsense into the columns."""

    row: FetchRule
    line: Line
    rule: Rule

    @property
    def place(self) -> "Place":
        return Place(self.row.before, self.line.text, self.line.ending)


@dataclass(frozen=True, slots=True)
class Place:
    """How a rule stands in the text: what is above its line, its line, what ends it."""

    before: str
    line: str
    ending: str


def stored_rules() -> Iterator[Stored]:
    for row in _rows():
        yield Stored(row, line_of(row), row.as_rule(MASK))


def load(*, with_passwords: bool = False) -> str:
    return "".join(text_of(with_passwords=with_passwords))


def from_text_box(text: str) -> str:
    """`text` as a browser sent it, with the line endings of the stored text: a text box makes all of them alike."""
    own = FetchRule.objects.filter(Q(line_end__contains="\r") | Q(before__contains="\r")).exists()
    if own or "\r" in ServiceSettings.current().text_tail:
        return with_endings_of(text, load())
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_of(*, with_passwords: bool = False) -> Iterator[str]:
    """The text as written, comments and all, rule by rule. A password that cannot be read stays masked."""
    places = (_with_password(item) if with_passwords else item.place for item in stored_rules())
    settings = ServiceSettings.current()
    return joined(settings.text_start, places, settings.text_tail)


def joined(start: str, places: Iterable[Place], tail: str) -> Iterator[str]:
    """The text in pieces. Only its very last line may go without an ending."""
    yield start
    unended = False
    for place in places:
        yield ("\n" if unended else "") + place.before + place.line + place.ending
        unended = not place.ending
    if tail:
        yield ("\n" if unended else "") + tail


def rules_of(*, with_passwords: bool = False) -> Iterator[Rule]:
    """The rules themselves; a password that cannot be read stays masked."""
    for row in _rows():
        yield row.as_rule(_password(row) if with_passwords else MASK)


def export(form: FileFormat, *, with_passwords: bool = False) -> Iterator[str]:
    """The rules as a file, in pieces. A password that cannot be read stays masked."""
    rules = rules_of(with_passwords=with_passwords)
    match form:
        case FileFormat.TEXT:
            return text_of(with_passwords=with_passwords)
        case FileFormat.BLANKS:
            return (render_rule(rule, Spelling.BLANKS) + "\n" for rule in rules)
        case FileFormat.BARS:
            return (render_rule(rule, Spelling.BARS) + "\n" for rule in rules)
        case FileFormat.FETCHMAILRC:
            return export_fetchmailrc(rules)
        case FileFormat.JSON:
            return export_json(rules)


def _rows() -> Iterator[FetchRule]:
    rows = FetchRule.objects.select_related("source").order_by("position", "id")
    return rows.iterator(chunk_size=_CHUNK)


def _with_password(stored: Stored) -> Place:
    if stored.line.rule is None:
        return stored.place
    return replace(stored.place, line=stored.line.text_with_password(_password(stored.row)))


def _password(row: FetchRule) -> str:
    try:
        return password_of(row)
    except PasswordUnreadable:
        return MASK
