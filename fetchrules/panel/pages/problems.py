"""Problem letters by kind: what is the matter with them, and what people can do about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from fetchrules.errors import CameShort
from fetchrules.ledger import by_hand, hosts
from fetchrules.ledger.source_mailboxes import folders_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.policy import Doubt
from fetchrules.words import failures
from fetchrules.words.failures import Failure
from fetchrules.words.names import shown_host, source_name

PAGE = 50
FIRST = 20
"""So many letters of each kind stand on the page of all kinds."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way out: the value of its button, its icon and its words."""

    do: str
    icon: str
    word: Promise


@dataclass(frozen=True, slots=True)
class Kind:
    """Letters with the same thing the matter. `where`: those that it is the matter with; `fails`: something was tried in vain."""

    title: Promise
    hint: Promise
    where: Q
    ways: tuple[Way, ...]
    fails: bool = False


_AGAIN = Way("again", "poll", _("Collect again"))
_LEAVE = Way("pass", "minus", _("Leave on the server"))

KINDS: Mapping[str, Kind] = {
    "short": Kind(
        _("Came shorter than the server had said"),
        _(
            "They were delivered as they came, twice with the same length, and stay on the server until you say what they are. "
            "A letter that is whole is treated as its rule says: where the rule deletes, at the next poll. One that is collected "
            "again comes once more; the first copy stays in the local mailbox."
        ),
        by_hand.DOUBTED & Q(doubt=Doubt.SHORT),
        (Way("settle", "check", _("The letter is whole")), _AGAIN),
    ),
    "passed": Kind(
        _("Perhaps among those left on the server"),
        _(
            "Some letters were to stay on the server uncollected, and too little is known of those to tell. These were delivered "
            "and stay on the server until you say what they are. A new letter is treated as its rule says: where the rule deletes, "
            "at the next poll."
        ),
        by_hand.DOUBTED & Q(doubt=Doubt.PASSED),
        (Way("settle", "check", _("It is a new letter")), _LEAVE, _AGAIN),
    ),
    "held": Kind(
        _("Could not be collected"),
        _("They stay on the remote server and hold up no other letter."),
        by_hand.HELD,
        (Way("retry", "poll", _("Try again now")), _LEAVE),
        fails=True,
    ),
    "undeleted": Kind(
        _("Could not be deleted on the server"),
        _("They were delivered. The server breaks off when it is to delete them; they hold up no other letter."),
        by_hand.UNDELETED,
        (Way("delete", "delete", _("Try to delete again")), _LEAVE),
        fails=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A letter as its table shows it. `short`: it came shorter than the server had said; `failure`: what was tried in vain."""

    letter: Letter
    source: str
    short: bool
    failure: Failure | None

    @classmethod
    def of(cls, letter: Letter, kind: Kind) -> "Line":
        """`letter` with its source at hand."""
        short = letter.reason == CameShort.code if kind.fails else letter.doubt == Doubt.SHORT
        failure = failures.describe(letter.reason, letter.source.host) if kind.fails else None
        return cls(letter, source_name(letter.source.user, letter.source.host), short and letter.octets > 0, failure)


@dataclass(frozen=True, slots=True)
class Section:
    """The letters of one kind, or the first of them. `rest`: there are more, on a page of their own."""

    name: str
    kind: Kind
    page: Page[Letter]
    lines: list[Line]

    @classmethod
    def of(cls, name: str, letters: QuerySet[Letter], size: int, number: str | None) -> "Section":
        """Page `number` of those of `letters` that are of this kind."""
        kind = KINDS[name]
        found = letters.filter(kind.where).select_related("source").order_by("-tried_at", "-delivered_at", "-id")
        page = Paginator(found, size).get_page(number)
        return cls(name, kind, page, [Line.of(letter, kind) for letter in page])


def sections_of(letters: QuerySet[Letter], asked: str, number: str | None) -> list[Section]:
    """The first of `letters` of each kind that there is; page `number` of those of the kind that is asked for, or the only one."""
    numbers = letters.aggregate(**{name: Count("id", filter=kind.where, distinct=True) for name, kind in KINDS.items()})
    present = [name for name in KINDS if numbers[name]]
    if asked in present:
        present = [asked]
    if len(present) == 1:
        return [Section.of(present[0], letters, PAGE, number)]
    return [Section.of(name, letters, FIRST, None) for name in present]


@dataclass(frozen=True, slots=True)
class Server:
    """A remote server from which so many letters came short, or whose sizes are not compared any more (`wrong`)."""

    host: str
    name: str
    letters: int
    wrong: bool


def servers() -> Iterator[Server]:
    """Those whose sizes there is something to say of, by name."""
    held_short = by_hand.HELD & Q(reason=CameShort.code)
    short = Letter.objects.filter(KINDS["short"].where | held_short).order_by()
    numbers = dict(short.values_list("source__host").annotate(Count("id")))
    wrong = set(hosts.with_wrong_sizes().values_list("host", flat=True))
    for host in sorted(numbers.keys() | wrong):
        yield Server(host, shown_host(host), numbers.get(host, 0), host in wrong)


def number_of(letters: QuerySet[Letter], rule: FetchRule) -> int:
    """How many of `letters` are problem letters of the mailboxes of `rule`."""
    return letters.filter(by_hand.PROBLEMS, source__in=folders_of(rule.source)).count()


def is_known(host: str) -> bool:
    """Whether some rule reads, or has read, mail from there."""
    return SourceMailbox.objects.filter(host=host).exists()
