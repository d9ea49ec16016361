"""Who changes rules, and what is refused to them. Everything here is checked under `rulebook.edits.lock`."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from fetchrules.acts import roles
from fetchrules.models import FetchRule, ServiceSettings
from fetchrules.poll.destinations import mailbox_key
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.edits import is_to_be_passed
from fetchrules.ruletext.problem import Code, Problem
from fetchrules.ruletext.sources import Claims, keeps_password, sources_of
from fetchrules.ruletext.validate import passing_fault

UNSEEN = -1
"""The revision in a form that does not name the one it was made from. No rule has it."""


class RuleChanged(Exception):
    """The rule was changed since the writer saw it. `row` is the rule as it is now."""

    def __init__(self, row: FetchRule) -> None:
        super().__init__(str(row))
        self.row = row


class PasswordNeeded(Exception):
    """A new password is needed: the stored one may not be used after this change, or there is none."""


class SourceTaken(Exception):
    """Another rule that is switched on reads the same remote mailbox, and one of the two takes mail away from the other."""


class RuleInvalid(Exception):
    """The rule has errors, or its writer may not have it so."""

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
        user = roles.as_stored(by)
        if not roles.edits_rules(user):
            raise PermissionDenied
        return cls(user)

    @property
    def administers(self) -> bool:
        return self.user is None or roles.administers(self.user)

    @property
    def edits_all(self) -> bool:
        return self.user is None or roles.edits_all(self.user)

    @property
    def rules(self) -> QuerySet[FetchRule]:
        return FetchRule.objects.all() if self.user is None else roles.editable_rules(self.user)

    def present(self, row: FetchRule, seen: int | None) -> FetchRule:
        """`row` as it is now. Raises FetchRule.DoesNotExist if it is not theirs to change, RuleChanged if it is not at `seen`."""
        found = self.rules.select_related("source").get(id=row.id)
        if seen is not None and found.revision != seen:
            raise RuleChanged(found)
        return found

    def still_theirs(self, rules: Iterable[FetchRule]) -> QuerySet[FetchRule]:
        """Those of `rules` that they may change, in the order of the text. Raises FetchRule.DoesNotExist if there is none."""
        chosen = self.rules.filter(id__in=[rule.id for rule in rules]).order_by("position", "id")
        if not chosen.exists():
            raise FetchRule.DoesNotExist
        return chosen

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


def check_change(known: FetchRule | None, wanted: Rule, pass_present: bool | None) -> None:
    """Whether `known` (None: a new rule) may be changed into `wanted`. Raises RuleInvalid, PasswordNeeded and SourceTaken.

    `pass_present`: whether present letters count as collected from now on; None: as before.
    """
    same_recipient = known is not None and known.recipient == wanted.recipient
    if not same_recipient and not ServiceSettings.current().is_local(wanted.recipient):
        raise RuleInvalid((Problem(Code.RECIPIENT_NOT_LOCAL, field="recipient"),))
    if wanted.password == MASK and (known is None or not keeps_password(known.as_rule(MASK), wanted)):
        raise PasswordNeeded
    _check_source(known, wanted)
    fault = passing_fault(wanted)
    if fault is not None and pass_present:
        raise RuleInvalid((Problem(fault, field="present"),))
    if fault is not None and pass_present is None and known is not None and is_to_be_passed(known, wanted):
        raise RuleInvalid((Problem(Code.PRESENT_PENDING, field="present"),))


def _check_source(known: FetchRule | None, wanted: Rule) -> None:
    """Raises SourceTaken: two rules may share a mailbox only if both leave its mail there.

    The database itself only forbids two that do not keep it.
    """
    hosts = {source.host for source in sources_of(wanted)}
    others = FetchRule.objects.filter(enabled=True, source__host__in=hosts)
    claims: Claims[int] = Claims()
    for other in others.exclude(id=known.id) if known else others:
        claims.claim(other.as_rule(MASK), other.id)
    if claims.conflict(wanted) is not None:
        raise SourceTaken


def check_shared(rules: QuerySet[FetchRule]) -> None:
    """Raises SourceTaken where one of `rules` shares its mailbox, and not all rules that read it leave its mail there."""
    hosts = rules.filter(enabled=True).values("source__host")
    readers = FetchRule.objects.filter(enabled=True, source__host__in=hosts)
    claims: Claims[int] = Claims()
    if any(claims.claim(reader.as_rule(MASK), reader.id) is not None for reader in readers):
        raise SourceTaken
