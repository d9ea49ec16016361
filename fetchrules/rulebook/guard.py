"""What is checked before rules are changed, under the lock: a check made before it is about rules that may be others by then.

A form is read, checked, and saved; meanwhile somebody else may have pointed the rule at another server with another password, given
it away, or added rules. So every change of rules goes like this, in one transaction: `lock` (changes wait for each other: on SQLite
the transaction itself does that, on PostgreSQL the row of settings), read who writes and what they may edit, read the rules, check,
write, and `advance` the version of the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet

from fetchrules import roles
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import MASK, Rule
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import keeps_password
from fetchrules.secrets.sealing import target_of

UNSEEN = -1
"""Stands for the revision of a form that does not say which one it was made from. No rule has it."""


class RuleChanged(Exception):
    """The rule was changed since whoever writes saw it. `row` is the rule as it is now."""

    def __init__(self, row: FetchRule) -> None:
        super().__init__(str(row))
        self.row = row


class PasswordNeeded(Exception):
    """The stored password may not go along with this change, or there is none."""


class RuleInvalid(Exception):
    """The rule cannot be written as a line, is not allowed to whoever writes it, or cannot do what it is to do once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Writer:
    """Who changes rules, with the rights that they have under the lock. `user` None: the command line, an administrator's."""

    user: User | None

    @classmethod
    def now(cls, by: User | None) -> "Writer":
        """`by` as the database knows them now. Raises PermissionDenied if they may change no rule any more."""
        if by is None:
            return cls(None)
        user = User.objects.filter(id=by.pk).first()
        if user is None or not roles.edits_rules(user):
            raise PermissionDenied
        return cls(user)

    @property
    def administers(self) -> bool:
        """Whether it is an administrator."""
        return self.user is None or roles.administers(self.user)

    @property
    def edits_all(self) -> bool:
        """Whether every rule is theirs to change."""
        return self.user is None or roles.edits_all(self.user)

    @property
    def rules(self) -> QuerySet[FetchRule]:
        """The rules that they may change."""
        return FetchRule.objects.all() if self.user is None else roles.editable_rules(self.user)

    def check_own(self, wanted: Rule, *, is_new: bool) -> None:
        """Raises RuleInvalid where an owner's rule would deliver to somebody else, or be one too many."""
        if self.user is None or self.edits_all:
            return
        if wanted.recipient != self.user.email:
            raise RuleInvalid((Problem(Code.RECIPIENT_NOT_YOURS, field="recipient"),))
        allowed = ServiceSettings.current().owner_rules
        if is_new and FetchRule.objects.filter(owner=self.user).count() >= allowed:
            raise RuleInvalid((Problem(Code.TOO_MANY_RULES, maximum=allowed),))

    def check_recipients(self, rules: Iterable[FetchRule]) -> None:
        """Raises RuleInvalid where an owner's rule would go on delivering to somebody else."""
        if self.user is None or self.edits_all:
            return
        own = mailbox_key(self.user.email)
        if any(mailbox_key(rule.recipient) != own for rule in rules):
            raise RuleInvalid((Problem(Code.RECIPIENT_NOT_YOURS, field="recipient"),))


def lock() -> None:
    """Let no other change of rules happen until the transaction ends. What was read before may be out of date."""
    ServiceSettings.current()
    ServiceSettings.objects.filter(id=1).update(text_version=F("text_version"))


def advance() -> None:
    """Count a change: every preview made before it is out of date."""
    ServiceSettings.objects.filter(id=1).update(text_version=F("text_version") + 1)


def present_row(row: FetchRule, writer: Writer, seen: int | None) -> FetchRule:
    """`row` as it is now. Raises FetchRule.DoesNotExist if it is not the writer's to change, RuleChanged if it is not at `seen`."""
    present = writer.rules.select_related("source").get(id=row.id)
    if seen is not None and present.revision != seen:
        raise RuleChanged(present)
    return present


def check_password(known: FetchRule | None, wanted: Rule) -> None:
    """Raises PasswordNeeded where `wanted` has no password of its own and may not go on with that of `known`."""
    if wanted.password == MASK and (known is None or not keeps_password(known.as_rule(MASK), wanted)):
        raise PasswordNeeded


def leads_elsewhere(known: FetchRule | None, wanted: Rule) -> bool:
    """Whether `wanted` says where to connect to, and as whom, other than `known` does."""
    return known is None or target_of(known.as_rule(MASK)) != target_of(wanted)
