"""Testing the connection of a rule that may not be saved yet: every stage in words, and what a poll would do now."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.acts import attempts, roles
from fetchrules.errors import FetchError, PasswordMissing
from fetchrules.models import FetchRule, SourceMailbox
from fetchrules.panel import access
from fetchrules.panel.forms.rule import with_arrow
from fetchrules.policy.planning import Plan
from fetchrules.policy.table import Terms
from fetchrules.poll.dating import start_of
from fetchrules.poll.looking import account_from
from fetchrules.poll.trial import Stage, Step, Trial, try_connection
from fetchrules.remote.account import Account
from fetchrules.remote.auth.ways import Kind, Way
from fetchrules.remote.mailbox import Certificate, Connection, TlsLevel
from fetchrules.rule import MASK, Rule
from fetchrules.rulebook.rows import password_of, tls_still_known
from fetchrules.ruletext.sources import address_key, local_folders, sources_of
from fetchrules.words import amounts
from fetchrules.words.failures import Failure, describe, not_reached
from fetchrules.words.names import source_name, way_name, would_recognise
from fetchrules.words.states import left_alone

STAGES: dict[Stage, Promise] = {
    Stage.NAME: gettext_lazy("Server's address"),
    Stage.CONNECT: gettext_lazy("Connection"),
    Stage.TLS: gettext_lazy("Encryption"),
    Stage.GREETING: gettext_lazy("Greeting"),
    Stage.LOGIN: gettext_lazy("Login"),
    Stage.MAILBOX: gettext_lazy("Remote mailbox"),
    Stage.DELIVERY: gettext_lazy("Local mailbox"),
}


@dataclass(frozen=True, slots=True)
class StageShown:
    """A stage as people read it. `failure` None: it went well. `fingerprint`: of the certificate, to pin it."""

    stage: str
    name: str
    found: str
    took: str
    failure: Failure | None = None
    detail: str = ""
    fingerprint: str = ""


def stages_shown(trial: Trial, host: str, *, exact: bool = True) -> list[StageShown]:
    """Every stage that was reached, and the one that failed.

    Unless `exact`, nothing tells why a server was not reached, nor which addresses its name has, nor what it says before a login.
    """
    if exact:
        return [_stage_shown(step, trial, host) for step in trial.steps]
    if any(step.error and step.stage in _BEFORE_ANY_WORD for step in trial.steps):
        return [StageShown(Stage.CONNECT.value, str(STAGES[Stage.CONNECT]), "", "", not_reached())]
    logged_in = any(step.stage is Stage.LOGIN and not step.error for step in trial.steps)
    hidden = {*_BEFORE_ANY_WORD, *(() if logged_in else (Stage.GREETING,))}
    return [
        replace(shown, found="") if step.stage in hidden else shown
        for step, shown in ((step, _stage_shown(step, trial, host)) for step in trial.steps)
    ]


_BEFORE_ANY_WORD = {Stage.NAME, Stage.CONNECT}


def summary_of(plan: Plan) -> str:
    """What a poll by this plan would do, without the parts that would do nothing."""
    said = []
    if plan.delete:
        letters = amounts.letters(len(plan.delete))
        said.append(_("A poll now would first delete %(letters)s, collected earlier.") % {"letters": letters})
    said.append(_would_fetch(plan))
    if plan.left:
        said.append(_("Left alone: %(letters)s.") % {"letters": amounts.letters(len(plan.left))})
    return " ".join(said)


def _would_fetch(plan: Plan) -> str:
    if not plan.fetch:
        return _("There are no new letters.")
    about = {"letters": amounts.letters(len(plan.fetch)), "size": amounts.octets(plan.octets)}
    if all(entry.delete_after for entry in plan.fetch):
        return _("A poll now would fetch %(letters)s (%(size)s), then delete them on the server.") % about
    return _("A poll now would fetch %(letters)s (%(size)s) and leave them on the server.") % about


def _stage_shown(step: Step, trial: Trial, host: str) -> StageShown:
    certificate = trial.connection.certificate if trial.connection and step.stage is Stage.TLS else None
    return StageShown(
        stage=step.stage.value,
        name=str(STAGES[step.stage]),
        found="" if step.error else _found(step.stage, trial),
        took=amounts.duration(timedelta(seconds=step.seconds)),
        failure=describe(step.error.code, host) if step.error else None,
        detail=step.error.detail if step.error else "",
        fingerprint=certificate.sha256 if certificate else "",
    )


def _found(stage: Stage, trial: Trial) -> str:
    connection = trial.connection
    match stage:
        case Stage.NAME:
            return ", ".join(dict.fromkeys(trial.addresses))
        case Stage.CONNECT if connection:
            return connection.address
        case Stage.TLS if connection:
            return _protection(connection)
        case Stage.GREETING if connection:
            return connection.greeting
        case Stage.LOGIN if connection and connection.way:
            return " · ".join(_login(connection, connection.way))
        case Stage.MAILBOX if trial.plan:
            return _mailbox(trial)
    return ""


def _login(connection: Connection, way: Way) -> Iterator[str]:
    yield way_name(way)
    if connection.tls is TlsLevel.NONE:
        shown = way.kind is Kind.SHOWN
        yield _("without encryption: the password can be read on the way") if shown else _("without encryption")


def _protection(connection: Connection) -> str:
    if connection.tls is TlsLevel.WEAK:
        parts = [connection.tls_version, _("weak: the server has only ciphers or keys that were good in 2010")]
    else:
        verified = _("verified") if connection.tls is TlsLevel.VERIFIED else _("not verified")
        parts = [connection.tls_version, _("certificate: %s") % verified]
    if connection.certificate:
        parts += _certificate(connection.certificate)
    return " · ".join(part for part in parts if part)


def _certificate(certificate: Certificate) -> list[str]:
    until = certificate.not_after and _("valid until %s") % date_format(certificate.not_after, "DATE_FORMAT")
    return [certificate.subject, until or ""]


def _mailbox(trial: Trial) -> str:
    plan = trial.plan
    assert plan is not None
    letters = len(plan.delete) + len(plan.fetch) + len(plan.left)
    return _("%(letters)s (%(octets)s), new: %(new)s") % {
        "letters": amounts.letters(letters),
        "octets": amounts.octets(trial.octets),
        "new": amounts.count(len(plan.fetch)),
    }


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
class TrialShown:
    """A trial as the page shows it. `failure` stands alone when nothing could be tried."""

    steps: list[StageShown]
    summary: str = ""
    prospects: tuple[Prospect, ...] = ()
    more: int = 0
    failure: Failure | None = None
    folders: tuple[tuple[str, str], ...] = ()
    more_folders: int = 0


def try_rule(
    request: HttpRequest,
    row: FetchRule | None,
    wanted: Rule,
    *,
    restricted: bool,
    pass_present: bool = False,
    since: date | None = None,
    recognises: bool = False,
) -> TrialShown:
    """Try `wanted`, with the password of `row` where it has none. Changes nothing, here or there.

    The audit names the server. Whoever is no administrator may do so a number of times an hour, and learns of a server that is not
    reached only that. `restricted`: on public mail servers and the allowed networks only.
    `pass_present`: as if what lies there counted as collected; `since`: as if what arrived before did. `recognises`: it
    would go on with the ledger of another name.
    """
    administers = roles.administers(access.user_of(request))
    try:
        name = source_name(wanted.user, wanted.server)
        attempts.begin_trial(name, wanted.server, wanted.effective_port, by=access.user_of(request))
    except attempts.TooMany:
        return TrialShown([], failure=_too_many())
    now = timezone.now()
    key = asdict(next(sources_of(wanted))) | {
        "recipient": row.source.recipient if row else address_key(wanted.recipient)
    }
    try:
        account = _account(row, wanted, key["folder"], restricted=restricted)
    except FetchError as error:
        return TrialShown([], failure=describe(error.code, wanted.server))
    source = SourceMailbox.objects.filter(**key).first()
    lived = source.lived if source else 0
    terms = Terms.of(wanted, restricted=restricted, lived=lived, pass_present=pass_present, since=start_of(since))
    trial = try_connection(account, source, terms, wanted.recipient, now, wanted.folders[1:], local_folders(wanted))
    steps = stages_shown(trial, wanted.server, exact=administers)
    offered = tuple((name, with_arrow(name, use if use != name else "")) for name, use in trial.folders.items())
    shown = TrialShown(steps, folders=offered[:FOLDERS_LISTED], more_folders=max(0, len(offered) - FOLDERS_LISTED))
    if trial.plan is None:
        return shown
    prospects = tuple(_prospects(trial.plan))
    return replace(
        shown,
        summary=f"{summary_of(trial.plan)} {would_recognise()}" if recognises else summary_of(trial.plan),
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
