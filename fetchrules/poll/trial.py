"""Try a rule's connection stage by stage, and plan a poll. Changes nothing."""

import time
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from fetchrules import errors
from fetchrules.ledger import knowing
from fetchrules.models import SourceMailbox
from fetchrules.policy.known import Knowledge
from fetchrules.policy.planning import Plan, plan
from fetchrules.policy.table import Terms
from fetchrules.poll.destinations import look_at
from fetchrules.remote.account import Account
from fetchrules.remote.imap.shared import SharedConnection
from fetchrules.remote.mailbox import Connection, TlsLevel
from fetchrules.remote.protocols import folders, open_mailbox, probe
from fetchrules.remote.resolver import resolve
from fetchrules.remote.transcript import Speaker, Transcript
from fetchrules.rule import INBOX


class Stage(StrEnum):
    """In the order in which they are tried."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    LOGIN = "login"
    MAILBOX = "mailbox"
    DELIVERY = "delivery"


_FAILS_AT: dict[type[errors.FetchError], Stage] = {
    errors.HostNotFound: Stage.NAME,
    errors.TargetForbidden: Stage.CONNECT,
    errors.ConnectFailed: Stage.CONNECT,
    errors.TlsFailed: Stage.TLS,
    errors.TlsUnavailable: Stage.TLS,
    errors.CertificateRejected: Stage.TLS,
    errors.CertificateChanged: Stage.TLS,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: how long it took (seconds), and why it failed if it did."""

    stage: Stage
    seconds: float
    error: errors.FetchError | None = None


@dataclass(slots=True)
class Trial:
    """The stages that were tried. `addresses` of the host; `plan` of a poll now; `folders` of an IMAP account, INBOX first, each
    with its special use, if it has one."""

    steps: list[Step] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    connection: Connection | None = None
    plan: Plan | None = None
    octets: int = 0
    folders: dict[str, str] = field(default_factory=dict)
    transcript: Transcript = field(default_factory=Transcript)

    @property
    def succeeded(self) -> bool:
        return all(step.error is None for step in self.steps)


@dataclass(slots=True)
class _Watch:
    """A Trace that measures the stages of a login from what is said: connected, protected, greeted."""

    trial: Trial
    since: float = field(default_factory=time.monotonic)

    def __call__(self, speaker: Speaker, text: str) -> None:
        self.trial.transcript(speaker, text)
        reached = {step.stage for step in self.trial.steps}
        if speaker is Speaker.NOTE:
            self.reached(Stage.TLS if Stage.CONNECT in reached else Stage.CONNECT)
        elif speaker is Speaker.SERVER and Stage.GREETING not in reached:
            self.reached(Stage.GREETING)

    def reached(self, stage: Stage, error: errors.FetchError | None = None) -> None:
        """Note the end of `stage`. One that is reached again (another attempt) counts once."""
        now = time.monotonic()
        self.trial.steps = [step for step in self.trial.steps if step.stage is not stage]
        self.trial.steps.append(Step(stage, round(now - self.since, 3), error))
        self.since = now


def try_connection(
    account: Account,
    source: SourceMailbox | None,
    terms: Terms,
    recipient: str,
    now: datetime,
    more_folders: Sequence[str] = (),
    into: Collection[str] = ("",),
) -> Trial:
    """Try all stages up to the first failure. `source` is None for a rule that was never saved: then every letter is new.

    The account's folder is listed; `more_folders` are only opened. `into`: the folders of the local mailbox.
    """
    trial = Trial()
    watch = _Watch(trial)
    try:
        trial.addresses = [end.address for end in resolve(account.host, account.port, account.deadlines.connect)]
        watch.reached(Stage.NAME)
        _look_in(trial, watch, account, source, terms, now)
        with closing(SharedConnection()) as shared:
            for folder in more_folders:
                open_mailbox(replace(account, folder=folder), trial.transcript, shared=shared).quit()
        watch.reached(Stage.MAILBOX)
        trial.folders = _list_folders(account, trial.transcript)
        watch.since = time.monotonic()
        for folder in into:
            look_at(recipient, folder)
        watch.reached(Stage.DELIVERY)
    except errors.FetchError as error:
        if isinstance(error, errors.ServerRefused) and not trial.folders:
            # A server that lists folders for this login has refused the folder, not the login.
            trial.folders = _list_folders(account, trial.transcript)
            if trial.folders and trial.connection is None:
                watch.reached(Stage.LOGIN)
        watch.reached(_stage_of(error, trial), error)
        if isinstance(error, errors.CertificateRejected | errors.CertificateChanged):
            with suppress(errors.FetchError):  # the certificate is shown and may be pinned; no password is sent
                trial.connection = probe(replace(account, verify=False, fingerprints=()), trial.transcript)
    trial.steps.sort(key=lambda step: list(Stage).index(step.stage))
    return trial


def _look_in(
    trial: Trial, watch: _Watch, account: Account, source: SourceMailbox | None, terms: Terms, now: datetime
) -> None:
    mailbox = open_mailbox(account, watch)
    try:
        trial.connection = mailbox.connection
        if trial.connection.tls is TlsLevel.NONE:
            trial.steps = [step for step in trial.steps if step.stage is not Stage.TLS]
        watch.reached(Stage.LOGIN)
        listing = mailbox.listing()
        knowledge = knowing.knowledge(source, listing) if source else Knowledge()
        trial.plan = plan(listing, knowledge, terms, now)
        trial.octets = sum(letter.size for letter in listing.letters)
        mailbox.quit()
    finally:
        mailbox.close()


def _list_folders(account: Account, transcript: Transcript) -> dict[str, str]:
    """Empty if they cannot be listed: a rule can do without. Leaves out names that no form could take."""
    try:
        found = folders(account, transcript)
    except errors.FetchError:
        return {}
    names = [name for name in found if name.isprintable() and name == name.strip()]
    return {name: found[name] for name in sorted(names, key=lambda name: (name.upper() != INBOX, name.casefold()))}


def _stage_of(error: errors.FetchError, trial: Trial) -> Stage:
    """The stage that `error` belongs to by its kind, else the first that was not reached."""
    reached = {step.stage for step in trial.steps}
    skipped = {Stage.TLS} if Stage.GREETING in reached else set()
    named = next((stage for kind, stage in _FAILS_AT.items() if isinstance(error, kind)), None)
    return named or next(stage for stage in Stage if stage not in reached | skipped)
