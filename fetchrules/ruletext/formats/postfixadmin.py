"""From PostfixAdmin's table `fetchmail` to rules: the table as CSV with a header, passwords in base64."""

import base64
import binascii
import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fetchrules.rule import MASK, MAX_RULES, Auth, Encryption, Protocol, Rule
from fetchrules.ruletext.formats.fetchmailrc.entries import read_user_options
from fetchrules.ruletext.formats.fetchmailrc.tokens import USER_WORDS
from fetchrules.ruletext.formats.foreign import Imported, ImportedRule, Reason, UnreadableEntry, imported
from fetchrules.ruletext.problem import Code, Problem

REQUIRED = ("mailbox", "src_server", "src_user")

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_DELIMITERS = ",;\t"
_NULL = frozenset({"", "null", "\\n"})
_TRUE = frozenset({"1", "t", "true", "y", "yes", "on", "\x01"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off", "\0"})
_PROTOCOLS = {"pop3": Protocol.POP3, "imap": Protocol.IMAP}
_NOT_MAPPED = {"mda": Reason.COMMANDS, "sslcertpath": Reason.CERTIFICATES}
_AUTH = {"": Auth.ANY, "any": Auth.ANY, "password": Auth.ANY, "cram-md5": Auth.CRAM_MD5}
"""`password` is what PostfixAdmin fills in for everybody."""
_INBOX = "inbox"


def looks_like_postfixadmin(text: str) -> bool:
    """Whether the first line is the header of such a table."""
    head = text.lstrip("\ufeff").split("\n", 1)[0].lower()
    return all(column in head for column in REQUIRED)


def import_postfixadmin(text: str) -> Imported:
    """The rules of the table. Any of comma, semicolon and tab separates its columns; NULL and \\N are empty."""
    body = text.removeprefix("\ufeff")
    head = body.split("\n", 1)[0]
    rows = csv.reader(_LINE.findall(body), delimiter=max(_DELIMITERS, key=head.count), skipinitialspace=True)
    found: list[ImportedRule] = []
    problems: list[Problem] = []
    try:
        columns = [column.strip().lower() for column in next(rows, [])]
        if missing := next((column for column in REQUIRED if column not in columns), None):
            return Imported(problems=(Problem(Code.CSV_COLUMN_MISSING, line=1, column=1, word=missing),))
        for number, values in enumerate(rows, 1):
            line = rows.line_num
            if number > MAX_RULES:
                return Imported(problems=(Problem(Code.TOO_MANY_RULES, line=line, column=1, maximum=MAX_RULES),))
            if not values:
                continue
            try:
                rule, said = _rule(columns, values)
                found.append(ImportedRule(rule, line))
            except UnreadableEntry as error:
                said = [error.problem]
            problems += [replace(problem, line=line, column=1) for problem in said]
    except csv.Error:
        return Imported(problems=(Problem(Code.CSV_ROW_INVALID, line=rows.line_num, column=1),))
    return imported(found, problems)


def _rule(columns: list[str], values: list[str]) -> tuple[Rule, list[Problem]]:
    """The rule of one row, and what of it is not taken over."""
    if len(values) != len(columns):  # a value would be read under another's column
        raise UnreadableEntry(Problem(Code.CSV_ROW_INVALID))
    row = _Row(dict(zip(columns, values, strict=True)))
    protocol = _PROTOCOLS.get(row.text("protocol").lower() or "pop3")
    if protocol is None:
        raise UnreadableEntry.because(Reason.PROTOCOL)
    said = [
        Problem(Code.FOREIGN_NOT_MAPPED, word=column, other=reason)
        for column, reason in _NOT_MAPPED.items()
        if row.text(column)
    ]
    auth = _AUTH.get(row.text("src_auth").lower())
    if auth is None:
        said.append(Problem(Code.FOREIGN_NOT_MAPPED, word="src_auth", other=Reason.AUTHENTICATION))
    if pin := row.text("sslfingerprint"):
        said.append(Problem(Code.FOREIGN_NOT_MAPPED, word="sslfingerprint", other=Reason.MD5))
    folder = row.text("src_folder")
    if folder and protocol is Protocol.POP3 and folder.lower() != _INBOX:
        said.append(Problem(Code.FOREIGN_NOT_MAPPED, word="src_folder", other=Reason.POP3_FOLDER))
    rule = Rule(
        server=row.text("src_server"),
        protocol=protocol,
        user=row.text("src_user"),
        password=_password(row),
        recipient=row.text("mailbox"),
        keep=row.flag("keep"),
        fetchall=row.flag("fetchall"),
        encryption=Encryption.SSL if row.flag("usessl") else Encryption.AUTO,
        sslcertck=bool(pin) or row.flag("sslcertck", default=True),
        port=row.number("src_port"),
        auth=auth or Auth.ANY,
        folders=(folder,) if folder and folder.lower() != _INBOX and protocol is Protocol.IMAP else (),
        interval=row.number("poll_time"),
        skip=not row.flag("active", default=True),
    )
    rule, extra = _with_extra_options(rule, row.text("extra_options"), check=bool(pin) or row.flag("sslcertck"))
    return rule, said + extra


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, by the names of its columns."""

    values: Mapping[str, str]

    def text(self, column: str) -> str:
        """The text in `column`; empty for NULL and for a column that is not there."""
        value = self.values.get(column, "")
        return "" if value.lower() in _NULL else value

    def flag(self, column: str, *, default: bool = False) -> bool:
        """A truth value, in any of the ways in which databases write it."""
        value = self.text(column).lower()
        if value and value not in _TRUE | _FALSE:
            raise UnreadableEntry(Problem(Code.CSV_VALUE_INVALID, word=column))
        return value in _TRUE if value else default

    def number(self, column: str) -> int | None:
        """A number; 0 stands for none."""
        value = self.text(column)
        if not value:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) <= 9):
            raise UnreadableEntry(Problem(Code.CSV_VALUE_INVALID, word=column))
        return int(value) or None


def _password(row: _Row) -> str:
    encoded = row.text("src_password")
    if not encoded or encoded == MASK:
        return MASK
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnreadableEntry(Problem(Code.CSV_PASSWORD_INVALID, field="password", word="src_password")) from error


_EXTRA_FLAGS = frozenset({"keep", "flush", "fetchall", "sslcertck"})
_EXTRA_NUMBERS = frozenset({"limit", "fetchlimit"})


def _with_extra_options(rule: Rule, text: str, *, check: bool) -> tuple[Rule, list[Problem]]:
    """`rule` with `extra_options`: fetchmail's words, which PostfixAdmin's own script appends to the user.

    `check`: the row itself asks for the certificate to be verified.
    """
    settings, problems = read_user_options(text)
    for setting in settings:
        if setting.word in _EXTRA_FLAGS:
            rule = replace(rule, **{setting.word: setting.value})  # type: ignore[arg-type]  # a flag
            check = check if setting.word != "sslcertck" else bool(setting.value)
        elif setting.word in _EXTRA_NUMBERS:
            rule = replace(rule, **{setting.word: setting.value or None})  # type: ignore[arg-type]  # a number
        elif setting.word == "ssl":
            rule = replace(rule, encryption=Encryption.SSL if setting.value else Encryption.AUTO)
        else:
            reason = USER_WORDS[setting.word].reason or Reason.COLUMN
            problems.append(Problem(Code.FOREIGN_NOT_MAPPED, word=setting.word, other=reason))
    return replace(rule, encryption=rule.encryption.with_check) if check else rule, problems
