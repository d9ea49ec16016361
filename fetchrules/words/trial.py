"""What a trial of a connection came to, in words."""

from dataclasses import dataclass, replace
from datetime import timedelta

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fetchrules.policy import Plan
from fetchrules.poll.trial import Stage, Step, Trial
from fetchrules.remote.mailbox import Certificate, Connection, TlsLevel
from fetchrules.words import amounts
from fetchrules.words.failures import Failure, describe, not_reached

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
class Told:
    """A stage as people read it. `failure` None: it went well. `fingerprint`: of the certificate, to pin it."""

    stage: str
    name: str
    found: str
    took: str
    failure: Failure | None = None
    detail: str = ""
    fingerprint: str = ""


def tell(trial: Trial, host: str, *, exact: bool = True) -> list[Told]:
    """Every stage that was reached, and the one that failed.

    Unless `exact`, nothing tells why a server was not reached, nor which addresses its name has, nor what it says before a login.
    """
    if exact:
        return [_told(step, trial, host) for step in trial.steps]
    if any(step.error and step.stage in _BEFORE_ANY_WORD for step in trial.steps):
        return [Told(Stage.CONNECT.value, str(STAGES[Stage.CONNECT]), "", "", not_reached())]
    logged_in = any(step.stage is Stage.LOGIN and not step.error for step in trial.steps)
    hidden = {*_BEFORE_ANY_WORD, *(() if logged_in else (Stage.GREETING,))}
    return [
        replace(told, found="") if step.stage in hidden else told
        for step, told in ((step, _told(step, trial, host)) for step in trial.steps)
    ]


_BEFORE_ANY_WORD = {Stage.NAME, Stage.CONNECT}


def would(plan: Plan) -> str:
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


def _told(step: Step, trial: Trial, host: str) -> Told:
    certificate = trial.connection.certificate if trial.connection and step.stage is Stage.TLS else None
    return Told(
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
        case Stage.LOGIN if connection and connection.tls is TlsLevel.NONE:
            return _("without encryption: the password can be read on the way")
        case Stage.MAILBOX if trial.plan:
            return _mailbox(trial)
    return ""


def _protection(connection: Connection) -> str:
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
