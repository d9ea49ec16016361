"""What the tests of IMAP mailboxes share."""

import pytest

from fetchrules.remote.imap import session
from fetchrules.remote.imap.memory import SizeMemory


@pytest.fixture(autouse=True)
def fresh_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test distrusts the server of the test before, which may have had the same port."""
    monkeypatch.setattr(session, "MEMORY", SizeMemory(limit=10))
