"""Unfinished letters that no poll has in its hands."""

from django.db.models import Exists, OuterRef, QuerySet

from fetchrules.ledger.letters import all_unfinished
from fetchrules.models import Letter, Run


def unattended() -> QuerySet[Letter]:
    """Letters that were recorded and not delivered, and whose account is not being polled.

    The account, and not the mailbox: of the folders that a rule collects, its run names one.
    """
    account = {f"source__{column}": OuterRef(f"source__{column}") for column in ("protocol", "host", "port", "user")}
    return all_unfinished().exclude(Exists(Run.objects.filter(**account, finished_at__isnull=True)))
