"""What an administrator has to look into, in a line or two above the list: incidents, and letters stuck in delivery."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from fetchrules.ledger import letters
from fetchrules.models import Incident


@dataclass(frozen=True, slots=True)
class Attention:
    """Mailboxes that are not being collected, the first of them `since`, and letters between the record and the mailbox."""

    failing: int
    since: datetime | None
    stuck: int

    @classmethod
    def read(cls, now: datetime) -> "Attention":
        """As it is at `now`, in two queries."""
        open_ones = Incident.objects.filter(closed_at=None).aggregate(number=Count("id"), since=Min("opened_at"))
        return cls(open_ones["number"], open_ones["since"], letters.stuck(now).count())
