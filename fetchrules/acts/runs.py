"""Stopping a poll that is running."""

from django.contrib.auth.models import User
from django.db import transaction

from fetchrules.acts import audit, roles
from fetchrules.ledger import runs
from fetchrules.models import Run


def stop(run: Run, *, by: User) -> bool:
    """Let the poll end within seconds; False where it had ended. Raises Run.DoesNotExist where it is not theirs to stop."""
    with transaction.atomic():
        found = roles.runnable_runs(by).select_related("source").get(id=run.id)
        asked = runs.ask_to_stop(found.id)
        if asked:
            audit.record(by, "run_stop_asked", found.source)
    return asked
