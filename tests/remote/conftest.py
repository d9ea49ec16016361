"""What the tests of remote mailboxes share."""

import pytest

from tests.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
