"""Real servers as fixtures, one of each for the whole session of a test process."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.dovecot import Dovecot, running_dovecot
from tests.interop.postfix import RECIPIENTS, Postfix, running_postfix
from tests.interop.postgres import Postgres, running_postgres
from tests.interop.redis_server import Redis, running_redis
from tests.interop.wheel import Wheel, wheel_in


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A running Dovecot."""
    with short_path() as directory, running_dovecot(Path(directory)) as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """A running Postfix before the Dovecot."""
    with short_path() as directory, running_postfix(Path(directory), dovecot.lmtp, RECIPIENTS) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis."""
    with short_path() as directory, running_redis(Path(directory)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL."""
    with short_path() as directory, running_postgres(Path(directory)) as server:
        yield server


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Wheel:
    """The product built and installed, once for all processes of a test session."""
    own = tmp_path_factory.getbasetemp()
    return wheel_in((own if worker_id == "master" else own.parent) / "wheel")


def short_path() -> "tempfile.TemporaryDirectory[str]":
    """A path for a Unix socket has to fit into 107 octets; pytest's own directories can be longer."""
    return tempfile.TemporaryDirectory(prefix="utm-", ignore_cleanup_errors=True)
