"""Campaigns: how large they are, how a run is repeated, and what they found."""

import json
import os
from dataclasses import asdict, dataclass, field

from tests.faults.world import Tally

FULL = os.environ.get("FAULTS", "quick") == "full"
"""The sizes that docs/reliability.md speaks of; without it, a tenth of them."""
SOAK = float(os.environ.get("SOAK", "3600" if FULL else "60"))
"""Seconds that a process is watched for growth."""
SEED = int(os.environ.get("SEED", "1"))


def size(full: int) -> int:
    """Of a campaign that has `full` faults at its full size."""
    return full if FULL else max(1, full // 10)


@dataclass
class Campaign:
    """One row of the table."""

    name: str
    seed: int = SEED
    faults: int = 0
    tally: Tally = field(default_factory=Tally)

    def add(self, faults: int, tally: Tally) -> None:
        """What one world came to. Raises AssertionError with the seed when a letter is lost, twice, corrupt or has a wrong time."""
        self.faults += faults
        self.tally += tally
        assert tally.sound, f"{self.name}, SEED={self.seed}: {tally}"

    def to_json(self) -> str:
        """As it travels from a test process to the one that prints."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Campaign":
        """The reverse of `to_json`."""
        told = json.loads(text)
        return cls(told["name"], told["seed"], told["faults"], Tally(**told["tally"]))


def table(campaigns: list[Campaign]) -> list[str]:
    """The lines that `make faults` ends with; parts of one campaign are one line."""
    rows: dict[str, Campaign] = {}
    for part in campaigns:
        row = rows.setdefault(part.name, Campaign(part.name, part.seed))
        row.faults += part.faults
        row.tally += part.tally
    width = max(map(len, rows))
    head = f"{'campaign':<{width}}{'letters':>9}{'faults':>8}{'lost':>6}{'twice':>7}{'corrupt':>9}{'misdated':>10}{'seed':>6}"
    total = Campaign("all")
    for row in rows.values():
        total.faults += row.faults
        total.tally += row.tally
    return [head, *(_line(row, width) + f"{row.seed:>6}" for _, row in sorted(rows.items())), _line(total, width)]


def _line(row: Campaign, width: int) -> str:
    tally = row.tally
    found = f"{tally.lost:>6}{tally.twice:>7}{tally.corrupt:>9}{tally.misdated:>10}"
    return f"{row.name:<{width}}{tally.letters:>9,}{row.faults:>8,}{found}"
