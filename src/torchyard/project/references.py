"""What a project's parts say of each other: fields that exist, in kinds that a transform takes."""

from __future__ import annotations

from collections.abc import Iterable

from torchyard.core.errors import BadProject, nearest
from torchyard.records.schema import FieldKind, Schema
from torchyard.records.training import Transform

_NUMERIC: tuple[FieldKind, ...] = ("number", "integer", "boolean")
NUMBER_TRANSFORMS = (
    "numbers", "standardize", "robust_scale", "quantile", "log", "clip", "impute", "elapsed",
    "calendar_time",
)  # fmt: skip
CODE_TRANSFORMS = ("lookup", "hash_bucket", "bucket", "cross")
# operation: kinds of field it takes, transforms it takes
_TAKES: dict[str, tuple[tuple[FieldKind, ...], tuple[str, ...]]] = {
    **dict.fromkeys(
        ("numbers", "standardize", "robust_scale", "quantile", "log", "clip", "impute", "bucket",
         "custom"),
        (_NUMERIC, NUMBER_TRANSFORMS),
    ),
    "elapsed": (("timestamp",), ()),
    "calendar_time": (("timestamp",), ()),
    "cyclic_time": (("timestamp",), ()),
    "lookup": (("category", "id"), ()),
    "hash_bucket": (("category", "id", "text"), ()),
    "cross": ((), CODE_TRANSFORMS),
    "multi_hot": (("category", "text"), ()),
    "tokenize": (("text",), ()),
    "pixels": (("image",), ()),
    "passthrough": (("tensor",), ()),
}  # fmt: skip


def need_fields(
    schema: Schema, names: Iterable[str], where: str, kinds: tuple[FieldKind, ...] = ()
) -> None:
    """Refuse names that are no fields of the schema, or of another kind.

    Raises:
        BadProject: one of them is.
    """
    for name in names:
        if name not in schema.names:
            raise BadProject(
                where=where,
                found=f"field '{name}'",
                expected="a field of the schema",
                remedy=nearest(name, schema.names),
            )
        kind = schema.field(name).kind
        if kinds and kind not in kinds:
            raise BadProject(
                where=where,
                found=f"field '{name}', {_one(kind)}",
                expected=f"{_one(' or '.join(kinds))} field",
                remedy="Name another field here, or change this one's kind in ty.Schema.",
            )


def _one(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def check_transform(transform: Transform, schema: Schema, where: str) -> None:
    """Refuse a feature that reads what it cannot, or must not.

    Raises:
        BadProject: an input does not exist or does not fit, is personal, or is not known when a
            prediction is asked for.
    """
    kinds, transforms = _TAKES[transform.operation]
    if transform.operation == "bucket" and _width(transform) != 1:
        raise BadProject(
            where=where,
            found=f"{_width(transform)} numbers inside ty.bucket(...)",
            expected="one number",
            remedy="Give each its own ty.bucket, and ty.cross them if they belong together.",
        )
    for item in transform.inputs:
        if isinstance(item, Transform):
            if item.operation not in transforms:
                raise BadProject(
                    where=where,
                    found=f"ty.{item.operation}(...) inside ty.{transform.operation}(...)",
                    expected=" or ".join(f"ty.{name}" for name in transforms) or "a field",
                    remedy="See docs/project-file.md for what each transform takes.",
                )
            check_transform(item, schema, where)
            continue
        need_fields(schema, (item,), where, kinds or ())
        if not kinds:
            raise BadProject(
                where=where,
                found=f"field '{item}' inside ty.{transform.operation}(...)",
                expected=" or ".join(f"ty.{name}" for name in transforms),
                remedy=f"For example ty.lookup('{item}').",
            )
        _check_use(item, schema, where)


def _width(transform: Transform) -> int:
    """How many numbers a number transform makes of a row."""
    if transform.operation == "calendar_time":
        return len(transform.options["parts"])
    if transform.operation == "elapsed":
        return 1
    return sum(_width(item) if isinstance(item, Transform) else 1 for item in transform.inputs)


def _check_use(name: str, schema: Schema, where: str) -> None:
    field = schema.field(name)
    if field.later:
        raise BadProject(
            where=where,
            found=f"field '{name}', which is declared later=True",
            expected="what is known when a prediction is asked for",
            remedy="Take it out of the features: it would leak the future into training.",
        )
    if field.personal and "feature" not in field.allow:
        raise BadProject(
            where=where,
            found=f"field '{name}', which is personal",
            expected="fields that may be learnt from",
            remedy=f"If it may: {name}=ty.{field.kind}(personal=True, allow=['feature']).",
        )
