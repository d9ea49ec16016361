"""The password keys, as the command line changes them."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from fetchrules.acts import keys


def test_it_gives_up_passwords_while_nobody_else_changes_rules(book: str) -> None:
    """It locks many rules one after the other: without the lock before them it and an applied text would wait for each other."""
    with CaptureQueriesContext(
        connection,
    ) as done:
        keys.give_up_lost()
    written = [query["sql"] for query in done if query["sql"].startswith(("UPDATE", "INSERT"))]
    assert "fetchrules_servicesettings" in written[0]
