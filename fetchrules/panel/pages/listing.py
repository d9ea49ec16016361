"""Which rules a list shows, and in what order: state, search, filters and sorting, all in the database and all in the URL."""

from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Case, CharField, Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import QueryDict

from fetchrules.errors import LOCAL
from fetchrules.models import FetchRule, Pause, Run
from fetchrules.panel.params import words
from fetchrules.words.failures import FAILURES
from fetchrules.words.states import RuleState

_PASSING = [code for code, entry in FAILURES.items() if entry.passes]
_LASTING = 3
"""So many failures running are a problem, even of a kind that usually passes."""

_STATE = Case(
    When(open_run=Run.State.RUNNING, then=Value(RuleState.RUNNING)),
    When(open_run=Run.State.QUEUED, then=Value(RuleState.QUEUED)),
    When(enabled=False, then=Value(RuleState.OFF)),
    When(FetchRule.OWNER_GONE, then=Value(RuleState.OWNERLESS)),
    When(pause=Pause.BY_HAND, then=Value(RuleState.PAUSED)),
    When(pause=Pause.FAILURE, then=Value(RuleState.FAILED)),
    When(last_error__in=LOCAL, then=Value(RuleState.LOCAL)),
    When(last_error__in=_PASSING, failures__lt=_LASTING, then=Value(RuleState.WAITING)),
    When(~Q(last_error=""), then=Value(RuleState.FAILED)),
    When(last_polled_at=None, then=Value(RuleState.NEVER)),
    default=Value(RuleState.ON),
    output_field=CharField(),
)
_URGENCY = Case(
    When(state__in=(RuleState.FAILED, RuleState.LOCAL), then=0),
    When(state__in=(RuleState.OWNERLESS, RuleState.WAITING), then=1),
    default=2,
)

OFFERED = 15
"""So many servers and local mailboxes are offered to narrow the list by; others are searched for."""

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
"""What the list can be sorted by; the empty word puts problems first and keeps the order of the text."""


def with_state(rules: QuerySet[FetchRule]) -> QuerySet[Any]:
    """`rules`, each with its `state` (a RuleState's value)."""
    open_run = Run.objects.filter(source=OuterRef("source"), finished_at__isnull=True).values("state")[:1]
    return rules.annotate(open_run=Subquery(open_run)).annotate(state=_STATE)


_STATES = {state.value: state for state in RuleState}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader of the list asked for."""

    query: str = ""
    state: RuleState | None = None
    server: str = ""
    recipient: str = ""
    sort: str = ""

    @classmethod
    def of(cls, get: QueryDict) -> "Choice":
        """From the URL; what makes no sense there counts as not asked for."""
        state, sort = get.get("state", ""), get.get("sort", "")
        return cls(
            query=get.get("q", "").strip(),
            state=_STATES.get(state),
            server=get.get("server", "").strip(),
            recipient=get.get("recipient", "").strip(),
            sort=sort if sort in SORTS else "",
        )

    def searched(self, rules: QuerySet[FetchRule]) -> QuerySet[FetchRule]:
        """`rules` narrowed by everything except the state."""
        for word in words(self.query):
            rules = rules.filter(Q(server__icontains=word) | Q(user__icontains=word) | Q(recipient__icontains=word))
        if self.server:
            rules = rules.filter(server__iexact=self.server)
        if self.recipient:
            rules = rules.filter(recipient__iexact=self.recipient)
        return rules

    def listed(self, rules: QuerySet[FetchRule]) -> QuerySet[Any]:
        """`rules` narrowed and sorted."""
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
        """Whether some rules may be hidden."""
        return bool(self.query or self.state or self.server or self.recipient)
