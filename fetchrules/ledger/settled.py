"""What the last look at a mailbox found, if it left nothing to do: a poll that finds the same ends there (ADR 33).

It is noted in the transaction that closes the poll. Whoever records anything about a letter forgets it first (`forget`), or in the
same transaction (`touch`), for all ledgers of the mailbox: letters that were collected for one recipient count for the others.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet

from fetchrules.models import Letter, SourceMailbox
from fetchrules.models.chunks import chunks
from fetchrules.policy.planning import Plan, Remark
from fetchrules.policy.quiet import LOOK_AGAIN
from fetchrules.policy.table import Terms

RULES = 1
"""Raise it with every change of what a plan decides, so that all mailboxes are looked through again."""


@dataclass(frozen=True, slots=True)
class Settled:
    """`state`: as `RemoteMailbox.state`. `terms`: those of the rule. `until`: it may be believed no longer. The counts are those of
    the poll, by the names of reasons and remarks."""

    state: str
    terms: str
    until: datetime
    found: int
    left: dict[str, int]
    remarks: dict[str, int]

    @classmethod
    def of(cls, state: str, terms: Terms, until: datetime, plan: Plan) -> "Settled":
        left = Counter(why.value for _, why in plan.left)
        remarks = {Remark.FLAGGED.value: plan.flagged} if plan.flagged else {}
        return cls(state, _key(terms), until, len(plan.left), dict(left), remarks)

    def as_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"until": self.until.isoformat()}


def settled(source: SourceMailbox, terms: Terms, now: datetime) -> Settled | None:
    """What is noted, if it holds for these terms and now."""
    if not source.settled:
        return None
    noted = Settled(**source.settled | {"until": datetime.fromisoformat(source.settled["until"])})
    if noted.terms != _key(terms) or not timedelta(0) < noted.until - now <= LOOK_AGAIN:
        return None
    return noted


def forget(source: SourceMailbox) -> None:
    """For a poll, before it records anything of a letter."""
    source.settled = {}
    _same_mailbox(source).exclude(settled={}).update(settled={})


def touch(letters: QuerySet[Letter]) -> None:
    """For people who decide over `letters`, in the transaction that changes them: what a poll has seen before counts no more."""
    for ids in chunks(list(letters.order_by().values_list("source_id", flat=True).distinct())):
        for source in SourceMailbox.objects.filter(id__in=ids):
            _same_mailbox(source).update(**UNSETTLED)


UNSETTLED = {"settled": {}, "touched": F("touched") + 1}
"""The columns of a mailbox whose letters people have decided over."""


def _same_mailbox(source: SourceMailbox) -> QuerySet[SourceMailbox]:
    protocol, host, port, user = source.account
    return SourceMailbox.objects.filter(protocol=protocol, host=host, port=port, user=user, folder=source.folder)


def note(seen: Iterable[tuple[SourceMailbox, Settled]]) -> None:
    """Note what a poll has seen. The caller's transaction makes sure that it still has its claim."""
    for source, found in seen:
        SourceMailbox.objects.filter(id=source.pk, touched=source.touched).update(settled=found.as_json())


def _key(terms: Terms) -> str:
    decides = (terms.keep, terms.flush, terms.fetchall, terms.uidl, terms.limit, terms.fetchlimit, terms.keepdays)
    return f"{RULES} {decides}"
