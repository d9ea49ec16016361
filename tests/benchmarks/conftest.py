"""Places to collect from, and the report at the end."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from _pytest.terminal import TerminalReporter

from tests.benchmarks.place import Place, place
from tests.benchmarks.report import RESULTS, report
from tests.interop.dovecot import Dovecot

At = Callable[[int], Place]

_temporary = TemporaryDirectory(prefix="utm-mail-results-")


@pytest.fixture(scope="session")
def at(dovecot: Dovecot) -> Iterator[At]:
    """The place behind a round trip of so many milliseconds."""
    with ExitStack() as stack:
        yield cache(lambda milliseconds: stack.enter_context(place(milliseconds, dovecot)))


def pytest_configure() -> None:
    if not os.environ.get("UTM_MAIL_TEST_RESULTS"):
        os.environ["UTM_MAIL_TEST_RESULTS"] = _temporary.name


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    directory = Path(os.environ["UTM_MAIL_TEST_RESULTS"])
    if (directory / RESULTS).exists():
        terminalreporter.write_sep("=", "report")
        terminalreporter.write_line(report(directory))
