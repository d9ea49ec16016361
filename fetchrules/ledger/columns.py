"""Rows and values as a cursor gives and takes them, for the few statements that come with every poll.

Django composes a statement anew each time, which takes longer than most databases need for it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Field, Model

_M = TypeVar("_M", bound=Model)
_Convert = Callable[[Any, Any, Any], Any]


def prepared(model: type[Model], **columns: Any) -> list[Any]:
    """The values in their order, as the database wants those of these columns of `model`; None is NULL."""
    fields = {field.name: field for field in model._meta.fields}
    return [fields[name].get_db_prep_save(value, connection) for name, value in columns.items()]


def marks(values: Collection[Any]) -> str:
    """As many placeholders as there are values."""
    return ", ".join(["%s"] * len(values))


@cache
def names(model: type[Model], table: str) -> str:
    """All columns of `model`, as those of `table`, for a SELECT whose rows `Row` takes apart."""
    return ", ".join(f"{table}.{connection.ops.quote_name(field.column)}" for field in model._meta.concrete_fields)


def written(model: type[Model], given: Collection[str]) -> "list[Field[Any, Any]]":
    """The fields of a new row of `model`, its primary key excepted. Raises TypeError for a `given` name that no field has."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    if strange := sorted(set(given) - {field.name for field in fields}):
        raise TypeError(f"{model.__name__} has no field {', '.join(strange)}")
    return fields


def default(field: "Field[Any, Any]") -> Any:
    """What a field has in a row that does not give it. Raises TypeError for one that has to be given."""
    if not (field.has_default() or field.null):
        raise TypeError(f"{field} has no default, and no value is given")
    return field.get_default()


def insert_all(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows of `model` but those that a constraint forbids: values by field; for the others the fields' defaults.

    Raises TypeError as `written` and `default`.
    """
    fields = written(model, set().union(*rows))
    lacking = (field for field in fields if not all(field.name in row for row in rows))
    usual = {field.name: _stored(field, default(field)) for field in lacking}
    quoted = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    table = model._meta.db_table
    insert = f"INSERT INTO {table} ({quoted}) VALUES ({marks(fields)}) ON CONFLICT DO NOTHING"  # noqa: S608 -- only names
    values = [
        [_stored(field, row[field.name]) if field.name in row else usual[field.name] for field in fields]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(insert, values)


def _stored(field: Any, value: Any) -> Any:
    """Text and numbers are stored as they are, since nobody gives such a field anything else."""
    if type(value) in (str, int):
        return value
    return field.get_db_prep_save(value, connection)


class Row:
    """A row of a SELECT, from which objects are taken from left to right."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values: Iterator[Any] = iter(values)

    def take(self, model: type[_M]) -> _M | None:
        """The object whose columns (`names`) come next; None where an outer join found none."""
        read = [
            (field.attname, _converted(next(self._values), field, convert)) for field, convert in _conversions(model)
        ]
        columns, values = zip(*read, strict=True)
        found = model.from_db(connection.alias, columns, values)
        return None if found.pk is None else found

    def value(self) -> Any:
        """The next column as it is."""
        return next(self._values)


def _converted(value: Any, field: Any, convert: Sequence[_Convert]) -> Any:
    for one in convert:
        value = one(value, field, connection)
    return value


@cache
def _conversions(model: type[Model]) -> "list[tuple[Field[Any, Any], list[_Convert]]]":
    found = []
    for field in model._meta.concrete_fields:
        column = field.get_col(model._meta.db_table)
        convert = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
        found.append((field, convert))
    return found
