"""What was measured of one protocol: a line for each collector, a column for each round trip."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a collector worked, and how many letters of how many arrived by it."""

    seconds: float
    arrived: int
    wanted: int

    def __str__(self) -> str:
        if self.arrived < self.wanted:
            return f"not done after {self.seconds:.0f} s ({self.arrived} letters)"
        doubles = self.arrived - self.wanted
        return f"{self.seconds:.2f} s" + (f" ({doubles} letters twice)" if doubles else "")


@dataclass(slots=True)
class Table:
    """It is printed as it stands, whatever is missing in it."""

    title: str
    columns: Sequence[str]
    _lines: dict[str, dict[str, str]] = field(default_factory=dict)

    def tell(self, line: str, column: str, cell: object) -> None:
        """Write a cell, and print it for whoever waits."""
        self._lines.setdefault(line, {})[column] = str(cell)
        print(f"\n  … {self.title}, {column}: {line}: {cell}", end="", flush=True)

    def __str__(self) -> str:
        rows = [["", *self.columns]]
        rows += [[line, *(cells.get(column, "—") for column in self.columns)] for line, cells in self._lines.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        told = (
            "  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in enumerate(pairs))
            for pairs in (zip(row, widths, strict=True) for row in rows)
        )
        return "\n".join([f"\n\n{self.title}", *(f"  {line}" for line in told)])
