"""What may exist: tables, constraints, indexes. What happens to them is decided elsewhere (`ledger`, `rulebook`)."""

from fetchrules.models.journal import HourlyStat, Letter, LocalMarker, Run
from fetchrules.models.rule import FetchRule, NextReason, Pause, SourceMailbox
from fetchrules.models.service import AuditEntry, Heartbeat, Incident, Revision, ServiceSettings

__all__ = [
    "AuditEntry",
    "FetchRule",
    "Heartbeat",
    "HourlyStat",
    "Incident",
    "Letter",
    "LocalMarker",
    "NextReason",
    "Pause",
    "Revision",
    "Run",
    "ServiceSettings",
    "SourceMailbox",
]
