"""A schema as the lines of a project file that declare it."""

from __future__ import annotations

import keyword

from torchyard.records.schema import Field, Schema

_PLAIN = {"optional": False, "ge": None, "le": None, "pattern": None, "max_length": None,
          "unique": False, "min_length": None, "unit": None, "personal": False}  # fmt: skip
_WIDTH = 96
_WHOLE = 1e15


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


def _lines(field: Field) -> list[str]:
    is_name = field.name.isascii() and field.name.isidentifier()
    is_name = is_name and not keyword.iskeyword(field.name) and field.name != "__debug__"
    start = f"    {field.name}=" if is_name else f"    **{{{_text(field.name)}: "
    end = "," if is_name else "},"
    values = [_text(value) for value in field.values]
    listed = [f"[{', '.join(values)}]"] if values else []
    arguments = [*listed, *_arguments(field)]
    line = f"{start}ty.{field.kind}({', '.join(arguments)}){end}"
    if len(line) <= _WIDTH:
        return [line]
    inner = [f"        {argument}," for argument in arguments]
    if values and len(inner[0]) > _WIDTH:
        inner[:1] = ["        [", *_filled(values), "        ],"]
    return [f"{start}ty.{field.kind}(", *inner, f"    ){end}"]


def _filled(values: list[str]) -> list[str]:
    """As many to a line as fit."""
    lines, line = list[str](), " " * 11
    for value in values:
        if line.strip() and len(line) + len(value) + 2 > _WIDTH:
            lines.append(line)
            line = " " * 11
        line += f" {value},"
    return [*lines, line]


def _arguments(field: Field) -> list[str]:
    found = []
    if field.kind == "tensor":
        found.append(repr(field.shape))
        if field.dtype != "float32":
            found.append(f'dtype="{field.dtype}"')
    for name, plain in _PLAIN.items():
        value = getattr(field, name)
        if value == plain:
            continue
        if isinstance(value, str):
            found.append(f"{name}={_text(value)}")
        elif isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
            found.append(f"{name}={int(value)}")
        else:
            found.append(f"{name}={value!r}")
    return found


def _text(value: str) -> str:
    """A literal in double quotes where it can be, raw where that spares backslashes."""
    if '"' in value:
        return repr(value)
    plain = repr(value)[1:-1]
    raw = value.isprintable() and "\\" in value and not value.endswith("\\")
    return f'r"{value}"' if raw else f'"{plain}"'
