"""A rule as a row: its columns, its own line, its password, and what an edit changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fetchrules.errors import PasswordUnreadable
from fetchrules.models import FetchRule, Pause
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK, STORED, Rule, Spelling
from fetchrules.ruletext.edit import edit
from fetchrules.ruletext.line import Line, parse_line
from fetchrules.ruletext.problem import Code
from fetchrules.ruletext.render import render_rule
from fetchrules.ruletext.sources import account_of
from fetchrules.ruletext.validate import problems_of
from fetchrules.schedule import NextReason
from fetchrules.secrets.sealing import seal, target_of, unseal

PLACE = ("position", "before", "line", "line_end")
"""The columns that say where and how the rule stands in the text."""

CONTENT = (
    *(field.column for field in STORED),
    *("password", "restricted", "source", "revision", "edited_at"),
    *("next_poll_at", "next_reason", "pause", "paused_until", "failures", "tls_seen"),
)
"""The columns that an edit of a rule changes."""

LAST_RESULT: Mapping[str, object] = {
    "last_run": None,
    "last_polled_at": None,
    "last_error": "",
    "last_detail": "",
    "last_left": {},
    **dict.fromkeys(("last_found", "last_fetched", "last_deleted", "last_skipped", "last_octets"), 0),
}
"""The columns of the last poll, with their values before the first one."""


def line_of(row: FetchRule) -> Line:
    """The row's line, its password masked. The columns are the truth: a line that differs from them is brought up to date."""
    wanted = row.as_rule(MASK)
    line = parse_line(row.line, ending=row.line_end)
    if line.rule == wanted:
        return line
    faults = {problem.code for problem in problems_of(wanted) if problem.is_error}
    if line.rule is not None and faults <= {Code.CHARACTER_HARMFUL}:
        return edit(line, wanted)
    return parse_line(render_rule(wanted, Spelling.BLANKS), ending=row.line_end)


def fill(row: FetchRule, rule: Rule, now: datetime) -> None:
    """Make the columns say `rule` (a masked password leaves the stored one, sealed again if need be), to be polled at once."""
    old = row.as_rule(MASK) if row.server else None
    if rule.password != MASK:
        row.password = seal(rule.password, target_of(rule))
    elif old is not None and target_of(old) != target_of(rule):
        row.password = seal(unseal(row.password, target_of(old)), target_of(rule))
    row.tls_seen = TlsLevel.NONE if old is None else tls_still_known(TlsLevel(row.tls_seen), old, rule)
    for field in STORED:
        setattr(row, field.column, field.to_column(getattr(rule, field.name)))
    row.pause, row.paused_until, row.failures = Pause.NONE, None, 0
    row.next_poll_at, row.next_reason, row.edited_at = now, NextReason.SAVED, now


def tls_still_known(seen: TlsLevel, old: Rule, rule: Rule) -> TlsLevel:
    """The protection seen so far, as long as the server is the same; NONE for another one.

    That a certificate was a pinned one does not prove that it verifies without the pin.
    """
    if replace(account_of(old), user="") != replace(account_of(rule), user=""):
        return TlsLevel.NONE
    pinned_otherwise = set(old.sslfingerprint) != set(rule.sslfingerprint)
    return TlsLevel.UNVERIFIED if pinned_otherwise and seen is TlsLevel.VERIFIED else seen


def password_of(row: FetchRule) -> str:
    """The row's password. Raises PasswordUnreadable."""
    return unseal(row.password, target_of(row.as_rule(MASK)))


def has_password(row: FetchRule, password: str) -> bool:
    """Whether this is the stored password; one that cannot be read is not."""
    try:
        return password_of(row) == password
    except PasswordUnreadable:
        return False


@dataclass(frozen=True, slots=True)
class Change:
    """One field before and after. Passwords are MASK on both sides."""

    field: str
    old: object
    new: object


def changes_of(row: FetchRule, wanted: Rule, old: Rule | None = None) -> tuple[Change, ...]:
    """The changes from `row` to `wanted` (a masked password: the stored one). `old`: `row` as a rule, if known."""
    old = old or row.as_rule(MASK)
    changes = [
        Change(field.name, getattr(old, field.name), getattr(wanted, field.name))
        for field in STORED
        if getattr(old, field.name) != getattr(wanted, field.name)
    ]
    if wanted.password != MASK and not has_password(row, wanted.password):
        changes.append(Change("password", MASK, MASK))
    return tuple(changes)
