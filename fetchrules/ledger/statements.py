"""Statements that Django's ORM does not have, made from its own parts, for SQLite and PostgreSQL alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Field, Model, QuerySet, Value

from fetchrules.ledger.columns import default, written


def insert_from(
    rows: QuerySet[Any], model: type[Model], given: Mapping[str, object], returning: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Insert a row of `model` for each of `rows`, in their order, where no constraint forbids it. Returns fields of the new rows.

    `given`: values and expressions over `rows`, by field. The other columns get the defaults of their fields; raises as `columns`.
    """
    chosen = columns(model, given)
    # Django refuses an annotation with the name of a column of `rows`.
    annotations = {f"new_{column}": value for column, value in chosen.items()}
    try:
        select, parameters = rows.annotate(**annotations).values_list(*annotations).query.sql_with_params()
    except EmptyResultSet:
        return []
    table = connection.ops.quote_name(model._meta.db_table)
    back = (field.column for name in returning for field in model._meta.concrete_fields if field.name == name)
    insert = f"INSERT INTO {table} ({_names(chosen)}) {select} ON CONFLICT DO NOTHING RETURNING {_names(back)}"
    with connection.cursor() as cursor:
        cursor.execute(insert, parameters)
        return list(cursor.fetchall())


def columns(model: type[Model], given: Mapping[str, object]) -> dict[str, Any]:
    """The expressions for a new row of `model` by column, its primary key excepted: what is `given`, or the default of the field.

    Raises TypeError for a field that has neither, and for a name that no field has.
    """
    return {field.column: _expression(field, given) for field in written(model, given.keys())}


def _expression(field: "Field[Any, Any]", given: Mapping[str, object]) -> Any:
    value = given[field.name] if field.name in given else default(field)
    return value if hasattr(value, "resolve_expression") else Value(value, output_field=field)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))
