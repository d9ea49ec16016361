"""What may exist: tables, constraints, indexes. What happens to them is decided elsewhere (`ledger`, `rulebook`)."""

from fetchrules.models.journal import HourlyStat, Letter, LocalMarker, Run
from fetchrules.models.rule import FetchRule, Pause, SourceMailbox
from fetchrules.models.service import (
    Attempt,
    AuditEntry,
    Channel,
    Heartbeat,
    Incident,
    Notice,
    Revision,
    ServiceSettings,
)

__all__ = [
    "Attempt",
    "AuditEntry",
    "Channel",
    "FetchRule",
    "Heartbeat",
    "HourlyStat",
    "Incident",
    "Letter",
    "LocalMarker",
    "Notice",
    "Pause",
    "Revision",
    "Run",
    "ServiceSettings",
    "SourceMailbox",
]
