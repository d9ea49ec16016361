"""What a benchmark tells of those who do not finish."""

from pathlib import Path

from tests.benchmarks.collectors import run
from tests.benchmarks.table import Measured, Table
from tests.waiting import until


def test_it_says_how_far_somebody_came() -> None:
    assert str(Measured(1.234, 10, 10)) == "1.23 s"
    assert str(Measured(600.4, 7, 10)) == "not done after 600 s (7 letters)"
    assert str(Measured(1.234, 12, 10)) == "1.23 s (2 letters twice)"


def test_it_prints_what_there_is() -> None:
    table = Table("Letters", ["0 ms", "20 ms"])
    table.tell("ours", "0 ms", Measured(1, 1, 1))
    table.tell("another", "20 ms", Measured(60, 0, 1))
    assert str(table).split("\n")[2:] == [
        "Letters",
        "             0 ms                            20 ms",
        "  ours     1.00 s                                —",
        "  another       —  not done after 60 s (0 letters)",
    ]


def test_it_ends_who_takes_too_long_and_his_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    seconds, code = run(["sh", "-c", f"sleep 600 & echo $! >{child}; wait"], 1)
    assert (1 <= seconds < 30, code) == (True, -9)
    gone = Path(f"/proc/{child.read_text().strip()}/cmdline")
    until(lambda: not gone.exists() or not gone.read_bytes())
