"""What an administrator has to know first, in a line or two above the list: incidents, channels of notices that are broken, stuck
letters, letters in doubt, and servers that cannot tell letters apart."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min

from fetchrules.ledger import by_hand, hosts, letters
from fetchrules.models import FetchRule, Incident, Letter
from fetchrules.models.rule import RemoteHost
from fetchrules.rule import Protocol
from fetchrules.words.incidents import fault

SHIFTED_LATELY = timedelta(days=30)
"""A server is named for so long after it gave a known unique-id to another letter; its rules' pages say so always."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Mailboxes that are not being collected, the first of them `since`; `faults`: channels by which no notice gets through, in
    words; letters between the record and the mailbox; letters that wait for somebody's word; POP3 servers that have given known
    unique-ids to other letters."""

    failing: int
    since: datetime | None
    faults: tuple[str, ...]
    stuck: int
    doubted: int
    shifting: tuple[RemoteHost, ...]

    @classmethod
    def read(cls, now: datetime) -> "Attention":
        """As it is at `now`, in five queries."""
        unfinished = Incident.objects.filter(closed_at=None)
        of_rules = unfinished.exclude(rule=None).aggregate(number=Count("id"), since=Min("opened_at"))
        faults = tuple(fault(incident) for incident in unfinished.filter(kind=Incident.Kind.CHANNEL))
        doubted = Letter.objects.filter(by_hand.DOUBTED).count()
        return cls(of_rules["number"], of_rules["since"], faults, letters.stuck(now).count(), doubted, _shifting(now))


def _shifting(now: datetime) -> tuple[RemoteHost, ...]:
    by_pop3 = FetchRule.objects.filter(protocol=Protocol.POP3).values("source__host")
    return tuple(hosts.that_shift().filter(shifted_at__gte=now - SHIFTED_LATELY, host__in=by_pop3))
