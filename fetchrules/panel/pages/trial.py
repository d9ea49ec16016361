"""Testing the connection of a rule that may not be saved yet: every stage in words, and what a poll would do now."""

from dataclasses import asdict, dataclass, replace

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from fetchrules.acts import attempts
from fetchrules.errors import FetchError, PasswordMissing
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.panel import access
from fetchrules.policy import Plan, Terms
from fetchrules.poll.remote_account import account_from
from fetchrules.poll.trial import try_connection
from fetchrules.remote.account import Account
from fetchrules.remote.mailbox import TlsLevel
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.rows import password_of, tls_still_known
from fetchrules.ruletext.sources import address_key, sources_of
from fetchrules.words import amounts, failures
from fetchrules.words.failures import Failure
from fetchrules.words.names import source_name, would_recognise
from fetchrules.words.states import left_alone
from fetchrules.words.trial import Told, tell, would

LISTED = 50
FOLDERS_LISTED = 500


@dataclass(frozen=True, slots=True)
class Prospect:
    """A letter on the server, and what a poll would do with it."""

    name: str
    size: str
    action: str
    tone: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A trial as the page shows it. `failure` stands alone when nothing could be tried."""

    steps: list[Told]
    summary: str = ""
    prospects: tuple[Prospect, ...] = ()
    more: int = 0
    failure: Failure | None = None
    folders: tuple[str, ...] = ()
    more_folders: int = 0


def try_rule(
    request: HttpRequest,
    row: FetchRule | None,
    wanted: Rule,
    *,
    restricted: bool,
    pass_present: bool = False,
    recognises: bool = False,
) -> Shown:
    """Try `wanted`, with the password of `row` where it has none. Changes nothing, here or there.

    The audit names the server. Whoever is no administrator may do so a number of times an hour, and learns of a server that is not
    reached only that. `restricted`: on public mail servers and the allowed networks only.
    `pass_present`: as if what lies there counted as collected. `recognises`: it would go on with the ledger of another name.
    """
    administers = access.administers(access.user_of(request))
    try:
        name = source_name(wanted.user, wanted.server)
        attempts.begin_trial(name, wanted.server, wanted.effective_port, by=access.user_of(request))
    except attempts.TooMany:
        return Shown([], failure=_too_many())
    now = timezone.now()
    key = asdict(next(sources_of(wanted))) | {
        "recipient": row.source.recipient if row else address_key(wanted.recipient)
    }
    try:
        account = _account(row, wanted, key["folder"], restricted=restricted)
    except FetchError as error:
        return Shown([], failure=failures.describe(error.code, wanted.server))
    source = SourceMailbox.objects.filter(**key).first()
    terms = Terms.of(wanted, restricted=restricted, pass_present=pass_present)
    trial = try_connection(account, source, terms, wanted.recipient, now, wanted.folders[1:])
    steps = tell(trial, wanted.server, exact=administers)
    shown = Shown(
        steps, folders=trial.folders[:FOLDERS_LISTED], more_folders=max(0, len(trial.folders) - FOLDERS_LISTED)
    )
    if trial.plan is None:
        return shown
    prospects = tuple(_prospects(trial.plan))
    return replace(
        shown,
        summary=f"{would(trial.plan)} {would_recognise()}" if recognises else would(trial.plan),
        prospects=prospects[:LISTED],
        more=max(0, len(prospects) - LISTED),
    )


def _account(row: FetchRule | None, wanted: Rule, folder: str, *, restricted: bool) -> Account:
    """How to open `folder` as `wanted` says. Raises PasswordUnreadable."""
    if wanted.password == MASK:
        if row is None:
            raise PasswordMissing
        wanted = replace(wanted, password=password_of(row))
    seen = tls_still_known(TlsLevel(row.tls_seen), row.as_rule(MASK), wanted) if row else TlsLevel.NONE
    return account_from(wanted, folder, seen, restricted=restricted)


def _too_many() -> Failure:
    remedy = _("In an hour there may be %(number)s; administrators may test without limit.")
    return Failure(_("Too many tests"), remedy % {"number": attempts.TRIALS})


def _prospects(plan: Plan) -> list[Prospect]:
    deleted = [
        Prospect(_name(d.letter.number, d.letter.uid), amounts.octets(d.letter.size), _("delete"), "bad")
        for d in plan.delete
    ]
    fetched = [
        Prospect(
            _name(e.letter.number, e.letter.uid),
            amounts.octets(e.letter.size),
            _("fetch, then delete") if e.delete_after else _("fetch"),
            "good",
        )
        for e in plan.fetch
    ]
    left = [
        Prospect(_name(letter.number, letter.uid), amounts.octets(letter.size), left_alone(why.value), "idle")
        for letter, why in plan.left
    ]
    return deleted + fetched + left


def _name(number: int, uid: str) -> str:
    return f"{number} · {uid}" if uid else str(number)
