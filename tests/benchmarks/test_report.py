"""The report on what benchmarks found, and what is told of a collector that does not finish."""

from pathlib import Path

import pytest

from tests.benchmarks.collectors import finished, run
from tests.benchmarks.report import Row, report
from tests.waiting import until


def test_it_shows_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UTM_MAIL_TEST_RESULTS", str(tmp_path))
    row = Row("Collecting", "ten letters", goal="≤ 1 × mpop")
    row.tell({"ours": 9.0, "mpop": 1.0})
    row.tell({"ours": 1.0, "mpop": 2.0})
    row.tell({"fetchmail": "7 letters in 30 s"})
    Row("Collecting", "a letter", "ms").tell({"ours": 1234.5})
    Row("Idle", "polls", "/s").tell({"ours": 12.34})
    measured, *tables = report(tmp_path).split("\n\n")
    assert measured.startswith("Measured on 20")
    assert tables == [
        "## Collecting",
        (
            "|  | ours | mpop | ratio | fetchmail | goal |\n"
            "| --- | ---: | ---: | ---: | ---: | ---: |\n"
            "| ten letters | 1.00 s | 2.00 s | 0.50 | 7 letters in 30 s | ≤ 1 × mpop |\n"
            "| a letter | 1,234 ms | – | – | – | – |"
        ),
        "## Idle",
        "|  | ours |\n| --- | ---: |\n| polls | 12.3 /s |",
    ]


def test_it_says_how_far_somebody_came() -> None:
    assert finished(1.5, 10, 10) == 1.5
    assert finished(30.4, 7, 10) == "7 letters in 30 s"
    assert finished(1.234, 12, 10) == "1.23 s (2 letters twice)"


def test_it_ends_who_takes_too_long_and_his_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    seconds, code = run(["sh", "-c", f"sleep 600 & echo $! >{child}; wait"], 1)
    assert (1 <= seconds < 30, code) == (True, -9)
    gone = Path(f"/proc/{child.read_text().strip()}/cmdline")
    until(lambda: not gone.exists() or not gone.read_bytes())
