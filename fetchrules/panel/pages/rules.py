"""The list of rules: its filters, its order, the notes above it, and its rows alone for a list that keeps itself up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Case, CharField, Count, Exists, IntegerField, Min, OuterRef, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fetchrules.acts import roles
from fetchrules.ledger import by_hand, hosts, letters
from fetchrules.models import FetchRule, Incident, Letter, Pause, Run
from fetchrules.models.rule import RemoteHost
from fetchrules.panel import access
from fetchrules.panel.pages.rule_actions import PAUSES
from fetchrules.panel.pages.rule_rows import rows_of
from fetchrules.panel.params import numbers, search
from fetchrules.rule import Protocol
from fetchrules.status import DECISION, LASTING, LOCAL_FAULTS, PASSING, PROBLEMS, WARNINGS, Fact, RuleState
from fetchrules.words.states import RULE_BADGES


def _polled(state: Run.State) -> Q:
    """Rules whose mailbox has an open run in `state`. Few are open: the database lists them once and looks for no rule."""
    return Q(source__in=Run.objects.filter(finished_at__isnull=True, state=state).values("source"))


_FACTS = {
    Fact.POLL_RUNS: _polled(Run.State.RUNNING),
    Fact.POLL_QUEUED: _polled(Run.State.QUEUED),
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


def _urgency(state: RuleState) -> int:
    return 0 if state in PROBLEMS else 1 if state in WARNINGS else 2


_URGENCY = Case(
    *(When(_FACTS[fact], then=Value(_urgency(state))) for fact, state in DECISION),
    default=Value(_urgency(RuleState.ON)),
    output_field=IntegerField(),
)
"""Of the facts, not of `state`: SQL would decide the state once more for each of the two comparisons."""

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
    return rules.annotate(state=_STATE)


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
        return listed.order_by(*self._order)

    @property
    def _order(self) -> tuple[Case | str, ...]:
        return (*(SORTS[self.sort] or (_URGENCY, "position")), "id")

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


SHIFTED_LATELY = timedelta(days=30)
"""For so long the list names a server after it gave a known unique-id to another letter. The rule's page names it for ever."""


@dataclass(frozen=True, slots=True)
class Attention:
    """`failing` mailboxes are not being collected, the first of them `since`. `stuck` letters are recorded but not delivered;
    `doubted` letters wait for somebody's decision. `shifting` POP3 servers have given known unique-ids to other letters.
    """

    failing: int
    since: datetime | None
    stuck: int
    doubted: int
    shifting: tuple[RemoteHost, ...]

    @classmethod
    def read(cls, now: datetime) -> "Attention":
        """Takes four queries."""
        open_ones = Incident.objects.filter(closed_at=None).exclude(rule=None)
        of_rules = open_ones.aggregate(number=Count("id"), since=Min("opened_at"))
        doubted = Letter.objects.filter(by_hand.DOUBTED).count()
        return cls(of_rules["number"], of_rules["since"], letters.stuck(now).count(), doubted, _shifting(now))


def _shifting(now: datetime) -> tuple[RemoteHost, ...]:
    by_pop3 = FetchRule.objects.filter(protocol=Protocol.POP3, source__host=OuterRef("host"))
    return tuple(hosts.that_shift().filter(Exists(by_pop3), shifted_at__gte=now - SHIFTED_LATELY))


PAGE_SIZES = (50, 100, 250)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user, now = access.user_of(request), timezone.now()
    rules = roles.visible_rules(user)
    choice = Choice.of(request.GET)
    counts = choice.counts(rules)
    paginator = Paginator(choice.listed(rules), _page_size(request))
    paginator.count = counts.get(choice.state, 0) if choice.state else sum(counts.values())
    page = paginator.get_page(request.GET.get("page"))
    rows = rows_of(list(page), now, user)
    context = {
        "attention": Attention.read(now) if roles.sees_all(user) else None,
        "servers": choice.commonest(rules, "server"),
        "recipients": choice.commonest(rules, "recipient"),
        "page": page,
        "sizes": PAGE_SIZES if paginator.count > PAGE_SIZES[0] else (),
        "rows": rows,
        "live": any(row.live for row in rows),
    }
    return render(request, "fetchrules/rules.html", context | _filters(choice, counts) | _may(user))


@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The rows named by `ids` and the filters with their numbers, as they are now."""
    user = access.user_of(request)
    ids = numbers(request.GET.get("ids", "").split(","))
    visible = roles.visible_rules(user)
    rules = with_state(visible.filter(id__in=ids[: max(PAGE_SIZES)]))
    choice = Choice.of(request.GET)
    context = {"rows": rows_of(list(rules), timezone.now(), user)} | _filters(choice, choice.counts(visible))
    return render(request, "fetchrules/_fresh.html", context | _may(user))


def _filters(choice: Choice, counts: Mapping[RuleState, int]) -> dict[str, object]:
    """The states that there are, each with its number of rules."""
    shown = [state for state in RuleState if state in counts or state is choice.state]
    return {
        "choice": choice,
        "filters": [(state, RULE_BADGES[state], counts.get(state, 0)) for state in shown],
        "total": sum(counts.values()),
    }


def _may(user: User) -> dict[str, object]:
    """What the reader may do with the rules that he sees: an owner sees his own only."""
    owns = not roles.sees_all(user)
    return {
        "pauses": PAUSES,
        "may_edit": roles.edits_rules(user),
        "may_run": owns or roles.runs_service(user),
        "needs_address": owns and not user.email,
    }


def _page_size(request: HttpRequest) -> int:
    asked = request.GET.get("per", "")
    return int(asked) if asked in {str(size) for size in PAGE_SIZES} else PAGE_SIZES[0]
