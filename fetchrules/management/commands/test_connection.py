"""`manage.py test_connection ID`: try a rule's connection stage by stage, changing nothing."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from fetchrules.errors import FetchError
from fetchrules.management.console import Console
from fetchrules.models import FetchRule
from fetchrules.panel.pages.connection_trial import stages_shown
from fetchrules.poll.looking import account_of, terms_of
from fetchrules.poll.trial import Trial, try_connection
from fetchrules.rule import MASK
from fetchrules.ruletext.sources import local_folders
from fetchrules.words.failures import describe


class Command(Console):
    """Exit status: 0 everything answers, 1 something does not, 2 there is no such rule."""

    help = "Try the connection of a rule, stage by stage, without changing anything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, metavar="ID", help="the rule")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *_args: object, **options: Any) -> None:
        rule = FetchRule.objects.select_related("source", "owner").filter(id=options["id"]).first()
        if rule is None:
            raise CommandError(_("there is no rule %s") % options["id"], returncode=2)
        try:
            account = account_of(rule, rule.source)
        except FetchError as error:
            raise CommandError(str(describe(error.code, rule.server).title), returncode=1) from error
        source, spec = rule.source, rule.as_rule(MASK)
        trial = try_connection(
            account,
            source,
            terms_of(rule, source),
            rule.recipient,
            timezone.now(),
            spec.folders[1:],
            local_folders(spec),
        )
        self.stdout.write(_as_json(rule, trial) if options["json"] else _as_text(rule, trial))
        if not trial.succeeded:
            raise SystemExit(1)


def _as_json(rule: FetchRule, trial: Trial) -> str:
    steps = [
        {"stage": step.stage, "seconds": step.seconds, "error": step.error.code if step.error else None}
        for step in trial.steps
    ]
    certificate = trial.connection.certificate if trial.connection else None
    facts = {
        "rule": rule.id,
        "source": str(rule.source),
        "ok": trial.succeeded,
        "steps": steps,
        "tls": trial.connection.tls if trial.connection else None,
        "login": trial.connection.way if trial.connection else None,
        "certificate": certificate.sha256 if certificate else None,
        "letters": len(trial.plan.fetch) + len(trial.plan.left) + len(trial.plan.delete) if trial.plan else None,
        "new": len(trial.plan.fetch) if trial.plan else None,
        "folders": list(trial.folders),
    }
    return json.dumps(facts, ensure_ascii=False)


def _as_text(rule: FetchRule, trial: Trial) -> str:
    lines = []
    for shown in stages_shown(trial, rule.server):
        said = f"{shown.failure.title} ({shown.detail}). {shown.failure.remedy}" if shown.failure else shown.found
        lines.append(f"{'✗' if shown.failure else '✓'} {shown.name}: {said} [{shown.took}]")
    if trial.folders:
        lines.append(_("Folders: %s") % ", ".join(trial.folders))
    return "\n".join(lines)
