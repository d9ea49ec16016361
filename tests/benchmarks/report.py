"""What benchmarks found: kept line by line where UTM_MAIL_TEST_RESULTS says, and shown as tables.

    python -m tests.benchmarks.report DIRECTORY

Whoever measures a row again, into the same directory, replaces what it had.
"""

import json
import os
import platform
import re
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

COLUMNS = ("ours", "SQLite, one process", "PostgreSQL and Redis", "mpop", "ratio", "getmail6", "fetchmail", "goal")
"""In this order; a section shows those that it has something in."""

RESULTS = "results.jsonl"

Value = float | str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: what was measured, in which unit, and the goal."""

    section: str
    name: str
    unit: str = "s"
    goal: str = ""

    def tell(self, cells: dict[str, Value]) -> None:
        """Keep these cells, by the columns, and print them for whoever waits."""
        shown = ", ".join(f"{column} {_cell(value, self.unit)}" for column, value in cells.items())
        print(f"\n  … {self.section}: {self.name}: {shown}", end="", flush=True)
        if directory := os.environ.get("UTM_MAIL_TEST_RESULTS"):
            told = {"section": self.section, "row": self.name, "unit": self.unit, "goal": self.goal, "cells": cells}
            with _file(Path(directory)).open("a") as file:
                file.write(json.dumps({"measured": f"{date.today()} on {machine()}", **told}) + "\n")


def machine() -> str:
    models = re.findall("model name\\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), Python {platform.python_version()}"


@dataclass(slots=True)
class _Section:
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, row: str, unit: str, goal: str, cells: dict[str, Value]) -> None:
        shown = self.rows.setdefault(row, {})
        shown |= {column: _cell(value, unit) for column, value in cells.items()}
        if goal:
            shown["goal"] = goal
        match cells:
            case {"ours": float(ours), "mpop": float(mpop)}:
                shown["ratio"] = f"{ours / mpop:.2f}"

    def table(self) -> str:
        columns = [column for column in COLUMNS if any(column in row for row in self.rows.values())]
        lines = [["", *columns], ["---", *("---:" for _ in columns)]]
        lines += [[name, *(row.get(column, "–") for column in columns)] for name, row in self.rows.items()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(directory: Path) -> str:
    """In Markdown, a table for each section."""
    sections: dict[str, _Section] = {}
    measured = set()
    for line in _file(directory).read_text().splitlines():
        told = json.loads(line)
        measured.add(told["measured"])
        sections.setdefault(told["section"], _Section()).add(told["row"], told["unit"], told["goal"], told["cells"])
    parts = [f"## {name}\n\n{section.table()}" for name, section in sections.items()]
    return "\n\n".join([f"Measured on {'; '.join(sorted(measured))}.", *parts])


def _file(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory / RESULTS


def _cell(value: Value, unit: str) -> str:
    if isinstance(value, str):
        return value
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


if __name__ == "__main__":
    print(report(Path(sys.argv[1])))
