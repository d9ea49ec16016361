"""A database that takes no writes: nothing can be written down about it, and the panel names it all the same."""

from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.interop.installation import Installation
from tests.interop.postgres import Postgres

pytestmark = pytest.mark.interop

STRIP = """
from django.contrib.auth.models import User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import RequestFactory
from fetchrules.panel.pages.service import strip_fragment
request = RequestFactory().get("/strip/")
request.user, request.session = User(is_superuser=True), SessionStore()
print(strip_fragment(request).content.decode())
"""


def test_it_names_a_database_that_became_read_only(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database()
    installation = Installation(tmp_path, {"UTM_MAIL_DATABASE_URL": url})
    installation.prepare()
    assert "Сбой базы данных" not in installation.manage("shell", "-v0", "-c", STRIP).stdout
    with psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True) as server:
        name = Identifier(url.rpartition("/")[2])
        server.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    assert "Сбой базы данных" in installation.manage("shell", "-v0", "-c", STRIP).stdout
