"""`manage.py migrate`: Django's, which alone makes the file of a SQLite database, and on PostgreSQL waits as long as it takes."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.utils.translation import gettext as _

from utm_mail.database import MADE, DatabaseGone, make_file, remember


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> Any:
        """Make the file before the checks that come first look into it. Raises CommandError where one was there and is gone."""
        connection = connections[options["database"]]
        if "database" not in connection.settings_dict["OPTIONS"]:
            return super().execute(*args, **options)
        path = Path(connection.settings_dict["NAME"])
        try:
            make_file(path, settings.DATA_DIR)
        except DatabaseGone as error:
            words = _(
                "The database %(path)s was there and is gone. Put it back, from a backup if need be, or mount its volume. "
                "With an empty one, the letters that are still on the servers would come again; to begin with one all the "
                "same, remove %(made)s."
            )
            raise CommandError(words % {"path": path, "made": settings.DATA_DIR / MADE}) from error
        done = super().execute(*args, **options)
        remember(path, settings.DATA_DIR)
        return done

    def handle(self, *args: Any, **options: Any) -> Any:
        """Migrate without the deadline that every other statement has."""
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            return super().handle(*args, **options)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        done = super().handle(*args, **options)
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
        return done
