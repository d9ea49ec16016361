"""Whether a poll may still write what it knows: another may have taken its place while it slept."""

from datetime import datetime

from fetchrules.errors import RunOvertaken
from fetchrules.ledger import runs
from fetchrules.models import FetchRule, Run


def require_claim(run: Run, now: datetime) -> None:
    """Inside a transaction: the run is still ours, and the rule is the one that it was claimed for. Raises RunOvertaken."""
    runs.renew(run, now)
    if not FetchRule.objects.filter(runs=run, revision=run.revision).exists():
        raise RunOvertaken("the rule was changed or deleted meanwhile")


def require_run(run: Run) -> None:
    """Inside a transaction: the run is still ours, and nobody takes it before the end. No sign of life. Raises RunOvertaken."""
    ours = Run.objects.select_for_update().filter(id=run.id, state=Run.State.RUNNING)
    if not ours.values_list("id", flat=True):
        raise RunOvertaken("the run was abandoned")
