"""What of a row the prediction log keeps: nothing personal, no pictures, no tensors, no books."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from torchyard.records.schema import Field, Schema

LOGGED_CHARACTERS = 20_000  # of one text; the rest is cut off

_TEXTS = ("category", "text", "id")


def loggable_form(schema: Schema) -> Callable[[object], object]:
    """A function that gives a decoded row in the form that the log's encoder takes.

    The row itself where nothing is to be taken away, which is usual and costs nothing; else a dict
    without missing values, without fields that are not logged, and with texts cut to
    ``LOGGED_CHARACTERS``.

    Args:
        schema: the fields; the attribute of field number ``n`` is ``f<n>``.
    """
    kept = [(f.name, f"f{n}") for n, f in enumerate(schema.fields) if f.is_logged]
    long = [f"f{n}" for n, f in enumerate(schema.fields) if f.is_logged and _can_be_long(f)]
    is_whole = len(kept) == len(schema.fields)
    texts = attrgetter(*long, *long[:1]) if long else None  # of two at least, it gives a tuple

    def form(row: object) -> object:
        if is_whole and (texts is None or all(_is_short(text) for text in texts(row))):
            return row
        values = ((name, getattr(row, attribute)) for name, attribute in kept)
        return {name: _cut(value) for name, value in values if value is not None}

    return form


def logs_whole_rows(schema: Schema) -> bool:
    """Whether the log keeps every field, so that a row without long texts is kept as it is."""
    return all(field.is_logged for field in schema.fields)


def _can_be_long(field: Field) -> bool:
    if field.kind not in _TEXTS or field.values:
        return False
    return field.max_length is None or field.max_length > LOGGED_CHARACTERS


def _is_short(text: str | None) -> bool:
    return text is None or len(text) <= LOGGED_CHARACTERS


def _cut(value: object) -> object:
    return value[:LOGGED_CHARACTERS] if isinstance(value, str) else value
