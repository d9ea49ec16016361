"""Engines to break, and rows of the table of what was found."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import Certificates, make_certificates
from tests.faults.campaign import Campaign
from tests.faults.engine import Engine, running_engine
from tests.interop.postgres import Postgres

NewCampaign = Callable[[str], Campaign]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Engine]:
    """An installation on SQLite, shared by the tests of one process; each world in it has its own rule."""
    with running_engine(tmp_path_factory.mktemp("engine"), {"SSL_CERT_FILE": str(certificates.cafile)}) as engine:
        yield engine


@pytest.fixture(scope="session")
def postgres_engine(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Engine]:
    """The same on PostgreSQL."""
    data: Path = tmp_path_factory.mktemp("postgres-engine")
    with running_engine(data, {"UTM_MAIL_DATABASE_URL": postgres.new_database()}) as engine:
        yield engine


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Iterator[NewCampaign]:
    """Opens a row of the table; it is printed (by tests/conftest.py) however the test ends."""
    opened: list[Campaign] = []

    def open_campaign(name: str) -> Campaign:
        opened.append(Campaign(name))
        return opened[-1]

    yield open_campaign
    request.node.user_properties.extend(("campaign", row.to_json()) for row in opened)
