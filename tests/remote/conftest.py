"""What the tests of remote mailboxes share."""

import pytest

from fetchrules.remote.auth.memory import LoginMemory
from fetchrules.remote.auth.scram import SaltedKeys
from fetchrules.remote.memory import SERVERS, AddressMemory, CapabilityMemory, FolderMemory
from tests.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows a server from the test before, which may have had the same port."""
    monkeypatch.setattr(SERVERS, "capabilities", CapabilityMemory(limit=100))
    monkeypatch.setattr(SERVERS, "addresses", AddressMemory(limit=10))
    monkeypatch.setattr(SERVERS, "folders", FolderMemory(limit=10))
    monkeypatch.setattr(SERVERS, "logins", LoginMemory(limit=100))
    monkeypatch.setattr(SERVERS, "keys", SaltedKeys(limit=100))
