"""Which rules the list shows, and in what order. The URL holds state, search, filters and sorting; the database does the work."""

from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Case, CharField, Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import QueryDict

from fetchrules.models import FetchRule, Pause, Run
from fetchrules.panel.params import search
from fetchrules.status import DECISION, LASTING, LOCAL_FAULTS, PASSING, PROBLEMS, WARNINGS, Fact, RuleState

_FACTS = {
    Fact.POLL_RUNS: Q(open_run=Run.State.RUNNING),
    Fact.POLL_QUEUED: Q(open_run=Run.State.QUEUED),
    Fact.SWITCHED_OFF: Q(enabled=False),
    Fact.OWNER_GONE: FetchRule.OWNER_GONE,
    Fact.PAUSED_BY_HAND: Q(pause=Pause.BY_HAND),
    Fact.PAUSED_BY_FAILURE: Q(pause=Pause.FAILURE),
    Fact.LOCAL_FAULT: Q(last_error__in=LOCAL_FAULTS),
    Fact.PASSING_FAILURE: Q(last_error__in=PASSING, failures__lt=LASTING),
    Fact.FAILURE: ~Q(last_error=""),
    Fact.NEVER_POLLED: Q(last_polled_at=None),
}
_STATE = Case(
    *(When(_FACTS[fact], then=Value(state)) for fact, state in DECISION),
    default=Value(RuleState.ON),
    output_field=CharField(),
)
_URGENCY = Case(When(state__in=PROBLEMS, then=0), When(state__in=WARNINGS, then=1), default=2)

OFFERED = 15
"""How many servers, and how many local mailboxes, the list offers as filters. Others are found by searching."""

SORTS: dict[str, tuple[str, ...]] = {
    "": (),
    "source": ("server", "user"),
    "-source": ("-server", "-user"),
    "recipient": ("recipient",),
    "-recipient": ("-recipient",),
    "last": ("last_polled_at",),
    "-last": ("-last_polled_at",),
    "next": ("next_poll_at",),
    "-next": ("-next_poll_at",),
}
"""The columns for each word of the URL. The empty word puts problems first and keeps the order of the text."""


def with_state(rules: QuerySet[FetchRule]) -> QuerySet[Any]:
    """`rules`, each with its `state`: the value of a RuleState."""
    open_run = Run.objects.filter(source=OuterRef("source"), finished_at__isnull=True).values("state")[:1]
    return rules.annotate(open_run=Subquery(open_run)).annotate(state=_STATE)


@dataclass(frozen=True, slots=True)
class Choice:
    """The filters and the order that the URL asks for."""

    query: str = ""
    state: RuleState | None = None
    server: str = ""
    recipient: str = ""
    sort: str = ""

    @classmethod
    def of(cls, get: QueryDict) -> "Choice":
        """The parameters of the URL; an invalid one is ignored."""
        state, sort = get.get("state", ""), get.get("sort", "")
        return cls(
            query=get.get("q", "").strip(),
            state=RuleState(state) if state in set(RuleState) else None,
            server=get.get("server", "").strip(),
            recipient=get.get("recipient", "").strip(),
            sort=sort if sort in SORTS else "",
        )

    def searched(self, rules: QuerySet[FetchRule]) -> QuerySet[FetchRule]:
        """`rules` narrowed by everything except the state."""
        rules = search(rules, self.query, "server", "user", "recipient")
        if self.server:
            rules = rules.filter(server__iexact=self.server)
        if self.recipient:
            rules = rules.filter(recipient__iexact=self.recipient)
        return rules

    def listed(self, rules: QuerySet[FetchRule]) -> QuerySet[Any]:
        listed = with_state(self.searched(rules))
        if self.state:
            listed = listed.filter(state=self.state)
        order = SORTS[self.sort] or (_URGENCY, "position")
        return listed.order_by(*order, "id")

    def counts(self, rules: QuerySet[FetchRule]) -> dict[RuleState, int]:
        """How many of the searched rules are in each state."""
        states = with_state(self.searched(rules)).order_by().values_list("state").annotate(Count("id"))
        return {RuleState(state): number for state, number in cast("list[tuple[str, int]]", list(states))}

    def commonest(self, rules: QuerySet[FetchRule], column: str) -> list[tuple[str, int]]:
        """The values that most of the searched rules have in `column`, with their number; none if all have the same."""
        values = self.searched(rules).order_by().values_list(column).annotate(number=Count("id"))
        found = cast("list[tuple[str, int]]", list(values.order_by("-number", column)[:OFFERED]))
        return found if len(found) > 1 else []

    @property
    def narrows(self) -> bool:
        return bool(self.query or self.state or self.server or self.recipient)
