"""Letters that somebody has to look at: what they are, why, and what to do about them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from fetchrules.acts import letters as acts
from fetchrules.acts import roles
from fetchrules.errors import CameShort
from fetchrules.ledger import by_hand, hosts, letters
from fetchrules.ledger.source_mailboxes import folders_of
from fetchrules.models import FetchRule, Letter, SourceMailbox
from fetchrules.panel import access
from fetchrules.panel.params import back, numbers
from fetchrules.policy.known import Doubt
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
class ProblemKind:
    """Letters with the same thing the matter. `where`: those that it is the matter with; `fails`: something was tried in vain."""

    title: Promise
    hint: Promise
    where: Q
    ways: tuple[Way, ...]
    fails: bool = False


_AGAIN = Way("again", "poll", gettext_lazy("Collect again"))
_LEAVE = Way("pass", "minus", gettext_lazy("Leave on the server"))

KINDS: Mapping[str, ProblemKind] = {
    "short": ProblemKind(
        gettext_lazy("Came shorter than the server had said"),
        gettext_lazy(
            "They were delivered as they came, twice with the same length, and stay on the server until you say what they are. "
            "A letter that is whole is treated as its rule says: where the rule deletes, at the next poll. One that is collected "
            "again comes once more; the first copy stays in the local mailbox."
        ),
        by_hand.DOUBTED & Q(doubt=Doubt.SHORT),
        (Way("settle", "check", gettext_lazy("The letter is whole")), _AGAIN),
    ),
    "passed": ProblemKind(
        gettext_lazy("Perhaps among those left on the server"),
        gettext_lazy(
            "Some letters were to stay on the server uncollected, and too little is known of those to tell. These were delivered "
            "and stay on the server until you say what they are. A new letter is treated as its rule says: where the rule deletes, "
            "at the next poll."
        ),
        by_hand.DOUBTED & Q(doubt=Doubt.PASSED),
        (Way("settle", "check", gettext_lazy("It is a new letter")), _LEAVE, _AGAIN),
    ),
    "held": ProblemKind(
        gettext_lazy("Could not be collected"),
        gettext_lazy("They stay on the remote server and hold up no other letter."),
        by_hand.HELD,
        (Way("retry", "poll", gettext_lazy("Try again now")), _LEAVE),
        fails=True,
    ),
    "undeleted": ProblemKind(
        gettext_lazy("Could not be deleted on the server"),
        gettext_lazy(
            "They were delivered. The server breaks off when it is to delete them; they hold up no other letter."
        ),
        by_hand.UNDELETED,
        (Way("delete", "delete", gettext_lazy("Try to delete again")), _LEAVE),
        fails=True,
    ),
}


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A letter as its table shows it. `short`: it came shorter than the server had said; `failure`: what was tried in vain."""

    letter: Letter
    source: str
    short: bool
    failure: Failure | None

    @classmethod
    def of(cls, letter: Letter, kind: ProblemKind) -> "ProblemLine":
        """`letter` with its source at hand."""
        short = letter.reason == CameShort.code if kind.fails else letter.doubt == Doubt.SHORT
        failure = failures.describe(letter.reason, letter.source.host) if kind.fails else None
        return cls(letter, source_name(letter.source.user, letter.source.host), short and letter.octets > 0, failure)


@dataclass(frozen=True, slots=True)
class ProblemSection:
    """The letters of one kind, or the first of them. `rest`: there are more, on a page of their own."""

    name: str
    kind: ProblemKind
    page: Page[Letter]
    lines: list[ProblemLine]

    @classmethod
    def of(cls, name: str, letters: QuerySet[Letter], size: int, number: str | None) -> "ProblemSection":
        """Page `number` of those of `letters` that are of this kind."""
        kind = KINDS[name]
        found = letters.filter(kind.where).select_related("source").order_by("-tried_at", "-delivered_at", "-id")
        page = Paginator(found, size).get_page(number)
        return cls(name, kind, page, [ProblemLine.of(letter, kind) for letter in page])


def sections_of(letters: QuerySet[Letter], asked: str, number: str | None) -> list[ProblemSection]:
    """The first of `letters` of each kind that there is; page `number` of those of the kind that is asked for, or the only one."""
    numbers = letters.aggregate(**{name: Count("id", filter=kind.where, distinct=True) for name, kind in KINDS.items()})
    present = [name for name in KINDS if numbers[name]]
    if asked in present:
        present = [asked]
    if len(present) == 1:
        return [ProblemSection.of(present[0], letters, PAGE, number)]
    return [ProblemSection.of(name, letters, FIRST, None) for name in present]


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


def problems_of(letters: QuerySet[Letter], rule: FetchRule) -> int:
    """How many of `letters` are problem letters of the mailboxes of `rule`."""
    return letters.filter(by_hand.PROBLEMS, source__in=folders_of(rule.source)).count()


def is_known(host: str) -> bool:
    """Whether some rule reads, or has read, mail from there."""
    return SourceMailbox.objects.filter(host=host).exists()


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The problem letters of the rules that the reader may watch, and those that are stuck in delivery."""
    user = access.user_of(request)
    visible = roles.visible_letters(user)
    stuck = visible.filter(id__in=letters.stuck(timezone.now()).values("id"))
    asked = request.GET.get("kind", "")
    context = {
        "stuck": stuck.select_related("source").order_by("first_seen_at")[:PAGE],
        "sections": sections_of(visible, asked, request.GET.get("page")),
        "asked": asked,
        "servers": list(servers()) if roles.administers(user) else [],
    }
    return render(request, "fetchrules/letters.html", context)


@require_POST
def act(request: HttpRequest) -> HttpResponse:
    ids = numbers(given for kind in KINDS for given in request.POST.getlist(kind))
    if not ids:
        messages.warning(request, _("Select the letters first."))
        return redirect(back(request, "letters"))
    messages.success(request, _do(request.POST.get("do", ""), ids, access.user_of(request)))
    return redirect(back(request, "letters"))


@require_POST
@access.administrators_only
def declare_sizes(request: HttpRequest) -> HttpResponse:
    """The sizes that a server lists are wrong, and not compared any more; or they are compared again."""
    wrong = "wrong" in request.POST
    host = request.POST.get("wrong" if wrong else "right", "")
    if not is_known(host):
        raise Http404
    acts.declare_sizes(host, wrong=wrong, by=access.user_of(request))
    if wrong:
        said = _("%(host)s: sizes are not compared any more. Letters that came before still wait for your word.")
    else:
        said = _("%(host)s: sizes are compared again.")
    messages.success(request, said % {"host": shown_host(host)})
    return redirect("letters")


@require_POST
def take_up(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Take the letters of a rule after all that were passed over, or were about to be."""
    user = access.user_of(request)
    number = acts.take_up(get_object_or_404(roles.editable_rules(user), id=rule_id), by=user)
    words = ngettext("%(count)s letter is new again.", "%(count)s letters are new again.", number)
    messages.success(request, words % {"count": number})
    return redirect("rule", rule_id)


def _do(what: str, ids: Collection[int], user: User) -> str:
    """What was done, in words."""
    match what:
        case "retry":
            number = acts.retry(ids, by=user)
            words = ngettext(
                "%(count)s letter is being tried again.", "%(count)s letters are being tried again.", number
            )
        case "delete":
            number = acts.retry(ids, by=user)
            words = ngettext("Deleting %(count)s letter again.", "Deleting %(count)s letters again.", number)
        case "again":
            number = acts.collect_again(ids, by=user)
            words = ngettext(
                "%(count)s letter is being collected again.", "%(count)s letters are being collected again.", number
            )
        case "pass":
            number = acts.pass_over(ids, by=user)
            words = ngettext("%(count)s letter stays on the server.", "%(count)s letters stay on the server.", number)
        case "settle":
            number = acts.settle(ids, by=user)
            words = ngettext(
                "%(count)s letter is treated as its rule says.",
                "%(count)s letters are treated as their rules say.",
                number,
            )
        case _:
            raise Http404
    return words % {"count": number}
