"""What benchmarks found, kept as JSON where UTM_MAIL_TEST_RESULTS says, and the table that docs/speed.md shows.

python -m tests.benchmarks.report DIRECTORY
"""

import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def save(name: str, told: Mapping[str, Any]) -> None:
    """Keep what a benchmark found, if somebody wants it."""
    if directory := os.environ.get("UTM_MAIL_TEST_RESULTS"):
        path = Path(directory) / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": name, **told}, indent=1))


def machine() -> str:
    models = re.findall("model name\\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), Python {platform.python_version()}"


def table(directory: Path) -> str:
    """In Markdown, a part for each benchmark."""
    parts = [f"Measured on {machine()}.\n"]
    for path in sorted(directory.glob("*.json")):
        told = json.loads(path.read_text())
        rows = [f"| {what} | {_cell(value)} |" for what, value in told.items() if what != "name"]
        parts.append("\n".join([f"| {told['name']} | |", "|---|---:|", *rows]) + "\n")
    return "\n".join(parts)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
