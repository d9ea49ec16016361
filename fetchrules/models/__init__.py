"""Tables, constraints, indexes. Other rooms decide what happens to the rows (`ledger`, `rulebook`)."""

from fetchrules.models.journal import HourlyStat as HourlyStat
from fetchrules.models.journal import Letter as Letter
from fetchrules.models.journal import LocalMarker as LocalMarker
from fetchrules.models.journal import Run as Run
from fetchrules.models.rule import FetchedBefore as FetchedBefore
from fetchrules.models.rule import FetchRule as FetchRule
from fetchrules.models.rule import Pause as Pause
from fetchrules.models.rule import SourceMailbox as SourceMailbox
from fetchrules.models.service import Attempt as Attempt
from fetchrules.models.service import AuditEntry as AuditEntry
from fetchrules.models.service import Channel as Channel
from fetchrules.models.service import Heartbeat as Heartbeat
from fetchrules.models.service import Incident as Incident
from fetchrules.models.service import Notice as Notice
from fetchrules.models.service import Revision as Revision
from fetchrules.models.service import ServiceSettings as ServiceSettings
