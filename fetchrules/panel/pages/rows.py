"""The rows of the list of rules: everything a row says, put into words once, in a fixed number of queries for all of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from fetchrules.errors import harmless
from fetchrules.models import FetchRule, HourlyStat, Run, ServiceSettings
from fetchrules.panel import access
from fetchrules.panel.pages.progress import Progress
from fetchrules.policy import Remark
from fetchrules.rule import MASK, Protocol
from fetchrules.ruletext.render import options_of
from fetchrules.words import amounts, guarded, runs, states
from fetchrules.words.failures import Failure
from fetchrules.words.names import source_name
from fetchrules.words.states import RULE_SIGNS, RuleState, Saying, Sign

HOURS = 24
SOON = timedelta(minutes=1)
"""A rule that has been due for less than this is about to be polled."""
_HEIGHT = 24
_SAY_WHY = (RuleState.FAILED, RuleState.LOCAL, RuleState.WAITING, RuleState.PAUSED, RuleState.OFF)


@dataclass(frozen=True, slots=True)
class Chip:
    """An option word; `warn`: it deserves a second look."""

    text: str
    warn: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the sparkline, in its coordinates."""

    x: int
    y: int
    height: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The last 24 hours; `words` say the same."""

    bars: tuple[Bar, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """A rule as the list shows it."""

    rule: FetchRule
    sign: Sign
    source: str
    connection: str
    chips: tuple[Chip, ...]
    result: Saying
    failure: Failure | None
    detail: str
    remarks: str
    next: Saying
    sparkline: Sparkline
    progress: Progress | None
    due: bool

    @property
    def problem(self) -> bool:
        """Whether the row needs a human."""
        return self.sign in (RULE_SIGNS[RuleState.FAILED], RULE_SIGNS[RuleState.LOCAL])

    @property
    def ownerless(self) -> bool:
        """Whether it is not polled, since nobody answers for it."""
        return self.sign is RULE_SIGNS[RuleState.OWNERLESS]

    @property
    def by_pop3(self) -> bool:
        """Whether the rule collects by POP3."""
        return self.rule.protocol == Protocol.POP3

    @property
    def live(self) -> bool:
        """Whether the row is about to change."""
        return self.due or self.progress is not None


def rows_of(rules: Sequence[FetchRule], now: datetime, reader: User) -> list[Row]:
    """The rows of `rules` (from `listing.with_state`) as `reader` may see them: three queries, however many rules."""
    administers = access.administers(reader)
    usual = ServiceSettings.current().interval
    sources = [rule.source_id for rule in rules]
    visible = access.visible_runs(reader).filter(source__in=sources, finished_at__isnull=True)
    open_runs = {run.source_id: run for run in visible}
    hours = _hours(rules, now, reader)
    return [
        _row(rule, open_runs.get(rule.source_id), hours[rule.id], usual, now, exact=administers or not rule.restricted)
        for rule in rules
    ]


def _row(
    rule: FetchRule, run: Run | None, hours: dict[int, HourlyStat], usual: int, now: datetime, *, exact: bool
) -> Row:
    state = RuleState(rule.state)  # type: ignore[attr-defined]  # the annotation of listing.with_state
    failed = rule.last_error and state in _SAY_WHY
    failure, detail = (
        guarded.describe(rule.last_error, rule.last_detail, rule.server, exact=exact) if failed else (None, "")
    )
    return Row(
        rule=rule,
        sign=RULE_SIGNS[state],
        source=source_name(rule.user, rule.server),
        connection=" · ".join(_connection(rule)),
        chips=chips_of(rule),
        result=_result(rule),
        failure=failure,
        detail=detail,
        remarks=remarks_of(rule.last_left),
        next=states.next_poll(rule, state, usual, now),
        sparkline=_sparkline(hours),
        progress=Progress.of(run, now) if run else None,
        due=_due(rule, now),
    )


def remarks_of(left: Mapping[str, int]) -> str:
    """Of what `left` counts, what the server did otherwise than planned: it is said beside a failure, too."""
    said = (remark for remark in Remark if remark in left)
    return " · ".join(f"{runs.left(remark)}: {amounts.count(left[remark])}" for remark in said)


def _due(rule: FetchRule, now: datetime) -> bool:
    at = rule.next_poll_at
    return rule.enabled and not rule.pause and at is not None and now - SOON < at <= now


def _connection(rule: FetchRule) -> Iterable[str]:
    if "@" in rule.user:
        yield rule.server
    yield rule.protocol.upper()
    yield states.protection(rule)


def _result(rule: FetchRule) -> Saying:
    if rule.last_polled_at is None:
        return Saying("—")
    return states.result(rule.last_fetched, rule.last_octets, rule.last_deleted, rule.last_found, rule.last_left)


def chips_of(rule: FetchRule) -> tuple[Chip, ...]:
    """The option words of a rule; `nokeep` is said although it is the default, since it deletes."""
    words = [
        harmless(f"{word} {value}").rstrip() for word, value in options_of(rule.as_rule(MASK)) if word not in {"skip"}
    ]
    if not rule.keep and rule.keepdays is None:
        words.insert(0, "nokeep")
    doubtful = {"nosslcertck", "plaintext"} | ({"keep", "fetchall"} if rule.keep and rule.fetchall else set())
    return tuple(Chip(_short(word), word in doubtful) for word in words)


def _short(word: str) -> str:
    name, blank, value = word.partition(" ")
    if name == "sslfingerprint":
        return f"{name} {value[:8]}…"
    if name == "limit":
        return f"{name} {amounts.octets(int(value))}"
    return name + blank + value


def _hours(rules: Sequence[FetchRule], now: datetime, reader: User) -> dict[int, dict[int, HourlyStat]]:
    """By rule, the counters of each of the last 24 hours; hour 23 is the present one."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    by_rule: dict[int, dict[int, HourlyStat]] = defaultdict(dict)
    for stat in access.visible_hours(reader).filter(rule__in=[rule.id for rule in rules], hour__gte=first):
        by_rule[stat.rule_id][int((stat.hour - first).total_seconds() // 3600)] = stat
    return by_rule


def _sparkline(hours: dict[int, HourlyStat]) -> Sparkline:
    most = max((stat.fetched for stat in hours.values()), default=0)
    bars = []
    for index, stat in sorted(hours.items()):
        height = max(2, round(_HEIGHT * stat.fetched / most)) if stat.fetched else 2
        if stat.failed and not stat.fetched:
            height = 5
        if stat.runs:
            bars.append(Bar(index * 4, _HEIGHT - height, height, stat.failed > 0))
    fetched = sum(stat.fetched for stat in hours.values())
    failed = sum(stat.failed for stat in hours.values())
    words = _("in 24 hours: %(letters)s, failures: %(failed)s") % {
        "letters": amounts.letters(fetched),
        "failed": failed,
    }
    return Sparkline(tuple(bars), words)
