"""The content of a file in another format: its rules with their places and comments, and notes on the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from fetchrules.rule import Rule
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Claims
from fetchrules.ruletext.validate import problems_of


class Reason(StrEnum):
    """Why something of a foreign file has no counterpart here, or why an entry of it was left out."""

    AUTHENTICATION = "authentication"
    CERTIFICATES = "certificates"
    COLUMN = "column"
    COMMANDS = "commands"
    DELIVERY = "delivery"
    DISPLAY = "display"
    ENVELOPE = "envelope"
    EXPUNGE = "expunge"
    HEADERS = "headers"
    IDLE = "idle"
    MD5 = "md5"
    NETWORK = "network"
    NOTES = "notes"
    OVERSIZED = "oversized"
    POP3_FOLDER = "pop3_folder"
    SETTINGS = "settings"
    TLS_VERSION = "tls_version"
    TRAFFIC = "traffic"

    NO_LOCAL_MAILBOX = "no_local_mailbox"
    NO_LOCAL_DOMAIN = "no_local_domain"
    NO_LOGIN = "no_login"
    PROTOCOL = "protocol"
    SERVICE = "service"
    SEVERAL_LOCAL_MAILBOXES = "several_local_mailboxes"


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """A rule, where it stood in the file, and the comment lines above it (each with its `#`)."""

    rule: Rule
    line: int
    column: int = 1
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """The rules of a foreign file in its order, and its problems."""

    found: tuple[ImportedRule, ...] = ()
    problems: tuple[Problem, ...] = ()
    comments: tuple[str, ...] = ()
    """Comment lines below the last rule."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the file from being applied."""
        return tuple(problem for problem in self.problems if problem.is_error)


class UnreadableEntry(Exception):
    """An entry of the file is no rule. The problem may have no place yet."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem

    @classmethod
    def because(cls, reason: Reason) -> "UnreadableEntry":
        return cls(Problem(Code.FOREIGN_LEFT_OUT, other=reason))


def imported(found: Iterable[ImportedRule], problems: Iterable[Problem], comments: tuple[str, ...] = ()) -> Imported:
    """Check the rules one by one and against each other. Invalid ones are left out, with an error at their place."""
    kept: list[ImportedRule] = []
    said = list(dict.fromkeys(problems))
    claims: Claims[ImportedRule] = Claims()
    for item in found:
        own = [replace(problem, line=item.line, column=item.column) for problem in problems_of(item.rule)]
        if not any(problem.is_error for problem in own):
            kept.append(item)
            if taken := claims.claim(item.rule, item):
                own.append(Problem(Code.SOURCE_TAKEN, line=item.line, column=item.column, other=str(taken.line)))
        said += own
    return Imported(tuple(kept), tuple(sorted(said, key=lambda problem: (problem.line, problem.column))), comments)
