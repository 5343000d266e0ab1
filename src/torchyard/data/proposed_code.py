"""A schema as the lines of a project file that declare it."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from torchyard.records.schema import Field, Schema

_PLAIN = {"optional": False, "ge": None, "le": None, "pattern": None, "max_length": None,
          "unique": False, "min_length": None, "unit": None}  # fmt: skip
_WIDTH = 96


def schema_code(schema: Schema) -> str:
    """Python that binds the schema to the name ``schema``.

    Example:
        >>> from torchyard.project import number
        >>> print(schema_code(Schema(fields=(Field(name="hops", kind="integer", ge=0.0),))))
        import torchyard as ty
        <BLANKLINE>
        schema = ty.Schema(
            hops=ty.integer(ge=0),
        )
    """
    lines = [line for field in schema.fields for line in _lines(field)]
    return "\n".join(["import torchyard as ty", "", "schema = ty.Schema(", *lines, ")"])


def _lines(field: Field) -> Iterable[str]:
    is_name = (
        field.name.isascii() and field.name.isidentifier() and not keyword.iskeyword(field.name)
    )
    start = f"    {field.name}=" if is_name else f"    **{{{field.name!r}: "
    end = "," if is_name else "},"
    arguments = _arguments(field)
    line = f"{start}ty.{field.kind}({', '.join(arguments)}){end}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{start}ty.{field.kind}(", *(f"        {a}," for a in arguments), f"    ){end}"]


def _arguments(field: Field) -> list[str]:
    found = []
    if field.kind == "tensor":
        found.append(repr(field.shape))
        if field.dtype != "float32":
            found.append(f"dtype={field.dtype!r}")
    if field.values:
        found.append(repr(list(field.values)))
    for name, plain in _PLAIN.items():
        value = getattr(field, name)
        if value != plain:
            whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
            found.append(f"{name}={int(value) if whole else value!r}")
    return found
