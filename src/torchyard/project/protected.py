"""Which protected fields a gate compares the groups of: one, or several and their intersections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from torchyard.core.errors import BadProject
from torchyard.project.references import need_fields
from torchyard.records.schema import Schema
from torchyard.records.verdicts import Gate

_JOINT = ", "  # between the names of fields, as in the groups of a report


def named_groups(gates: Iterable[Gate], schema: Schema) -> tuple[Gate, ...]:
    """The gates, with the fields of an intersection in the order of the schema, as in reports."""
    return tuple(
        gate
        if gate.group is None
        else dataclasses.replace(gate, group=_ordered(gate.group, schema))
        for gate in gates
    )


def check_groups(gates: Iterable[Gate], schema: Schema) -> None:
    """Refuse gates on groups that no report compares.

    Raises:
        BadProject: a field is not protected, is named twice, or is in an intersection of more than
            two fields that are not all protected ones.
    """
    protected = [field.name for field in schema.fields if field.protected]
    for gate in gates:
        if gate.group is None:
            continue
        where, fields = f"gate {gate.metric}, group", gate.group.split(_JOINT)
        for field in fields:
            _check_protected(field, protected, schema, where)
        repeated = len(set(fields)) != len(fields)
        if repeated or len(fields) not in (1, 2, len(protected)):
            raise BadProject(
                where=where,
                found=f"'{gate.group}'",
                expected="one protected field, two, or all of them, each once",
                remedy="Reports compare the intersections of every two protected fields, and of "
                f"all: {_JOINT.join(protected)}.",
            )


def _check_protected(name: str, protected: Sequence[str], schema: Schema, where: str) -> None:
    if name in protected:
        return
    need_fields(schema, (name,), where.removesuffix(", group"))
    kind = schema.field(name).kind
    bands = "[18, 65]" if kind in ("number", "integer") else "[1960, 1980]"
    how = (
        f"ty.{kind}(protected={bands})"
        if kind in ("number", "integer", "timestamp")
        else "ty.category(protected=True)"
    )
    raise BadProject(
        where=where,
        found=f"'{name}', which is not protected",
        expected="a protected field",
        remedy=f"Declare it as {name}={how}.",
    )


def _ordered(group: str, schema: Schema) -> str:
    fields = group.split(_JOINT)
    known = all(field in schema.names for field in fields)
    return _JOINT.join(sorted(fields, key=schema.names.index)) if known else group
