"""Values of columns as a cursor takes them, for the few statements that are written in SQL because they come with every poll."""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Model


def prepared(model: type[Model], **columns: Any) -> list[Any]:
    """The values in their order, as the database wants those of these columns of `model`; None is NULL."""
    fields = {field.name: field for field in model._meta.fields}
    return [fields[name].get_db_prep_save(value, connection) for name, value in columns.items()]


def marks(values: Sequence[Any]) -> str:
    """As many placeholders as there are values."""
    return ", ".join(["%s"] * len(values))
