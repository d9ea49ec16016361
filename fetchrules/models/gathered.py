"""Many values in one row. A thread that reads rows from SQLite gives way to the other threads before each of them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, JSONField

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler, _AsSqlType


class Gathered(Aggregate):
    """The list of a group's values. Several lists of one query have the same order."""

    function = "json_group_array"
    name = "Gathered"
    output_field = JSONField()

    def as_postgresql(self, compiler: "SQLCompiler", connection: BaseDatabaseWrapper, **context: Any) -> "_AsSqlType":
        return self.as_sql(compiler, connection, function="jsonb_agg", **context)


def as_moment(gathered: str) -> datetime:
    """A moment as it stands in a `Gathered` list."""
    moment = datetime.fromisoformat(gathered)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
