"""The notes that administrators see above the list of rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min

from fetchrules.ledger import by_hand, hosts, letters
from fetchrules.models import FetchRule, Incident, Letter
from fetchrules.models.rule import RemoteHost
from fetchrules.rule import Protocol

SHIFTED_LATELY = timedelta(days=30)
"""For so long the list names a server after it gave a known unique-id to another letter. The rule's page names it for ever."""


@dataclass(frozen=True, slots=True)
class Attention:
    """`failing` mailboxes are not being collected, the first of them `since`. `stuck` letters are recorded but not delivered;
    `doubted` letters wait for somebody's decision. `shifting` POP3 servers have given known unique-ids to other letters.
    """

    failing: int
    since: datetime | None
    stuck: int
    doubted: int
    shifting: tuple[RemoteHost, ...]

    @classmethod
    def read(cls, now: datetime) -> "Attention":
        """Takes four queries."""
        open_ones = Incident.objects.filter(closed_at=None).exclude(rule=None)
        of_rules = open_ones.aggregate(number=Count("id"), since=Min("opened_at"))
        doubted = Letter.objects.filter(by_hand.DOUBTED).count()
        return cls(of_rules["number"], of_rules["since"], letters.stuck(now).count(), doubted, _shifting(now))


def _shifting(now: datetime) -> tuple[RemoteHost, ...]:
    by_pop3 = FetchRule.objects.filter(protocol=Protocol.POP3).values("source__host")
    return tuple(hosts.that_shift().filter(shifted_at__gte=now - SHIFTED_LATELY, host__in=by_pop3))
