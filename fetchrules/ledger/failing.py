"""How long a rule has been failing in the same way: what the journal knows of it."""

from datetime import datetime, timedelta

from django.db.models import Count, Min

from fetchrules.errors import FetchError
from fetchrules.models import FetchRule, Run
from fetchrules.schedule import Failing


def failing(rule: FetchRule, error: FetchError, now: datetime) -> Failing:
    """For a poll of `rule` that has just ended with `error` and is not in the journal yet."""
    if not rule.failures or rule.failing_since is None:
        return Failing()
    failed = Run.objects.filter(rule=rule, finished_at__gte=rule.failing_since, error=error.code)
    before = failed.aggregate(number=Count("id"), first=Min("finished_at"))
    lasting = now - before["first"] if before["first"] else timedelta(0)
    return Failing(rule.failures + 1, before["number"] + 1, lasting)
