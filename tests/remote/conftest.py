"""What the tests of remote mailboxes share."""

import pytest

from fetchrules.remote.pop3 import login, opening
from fetchrules.remote.pop3.memory import CapabilityMemory
from tests.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows a server from the test before, which may have had the same port."""
    memory = CapabilityMemory(limit=100)
    monkeypatch.setattr(opening, "MEMORY", memory)
    monkeypatch.setattr(login, "MEMORY", memory)
