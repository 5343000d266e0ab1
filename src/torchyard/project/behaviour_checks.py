"""Whether declared behaviours fit the schema and the task: refused before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from torchyard.core.errors import BadProject, nearest
from torchyard.core.units import conversions
from torchyard.project.changes import EVERY_OPTIONAL
from torchyard.project.expectations import Expectation
from torchyard.project.references import need_fields
from torchyard.records.behaviours import Behaviour
from torchyard.records.schema import Field, FieldKind, Schema, Task
from torchyard.records.verdicts import Gate

_NUMBERS: tuple[FieldKind, ...] = ("number", "integer")
_TAKES: dict[str, tuple[FieldKind, ...]] = {
    "shift": _NUMBERS,
    "scale": _NUMBERS,
    "swap": ("category", "text", "id"),
    "typos": ("text",),
    "noise": ("number", "image"),
    "rotate": ("image",),
    "brightness": ("image",),
    "blur": ("image",),
    "jpeg": ("image",),
    "corruption": ("image",),
    "missing": (),
    "unit": _NUMBERS,
}


def as_behaviours(declared: object) -> tuple[Expectation, ...]:
    """What ``behaviours=`` was given, as a tuple.

    Raises:
        BadProject: it is no list of behaviours.
    """
    several = declared if isinstance(declared, (tuple, list)) else (declared,)
    wrong = [one for one in several if not isinstance(one, Expectation)]
    if wrong or several is not declared:
        raise BadProject(
            where="ty.Project(..., behaviours=)", found=repr(wrong[0] if wrong else declared),
            expected="a list of ty.invariant(...) and its like, and of @ty.behaviour functions",
            remedy="Put ty.behaviour before a function: @ty.behaviour.",
        )  # fmt: skip
    return tuple(several)


def check_behaviours(declared: Sequence[Expectation], schema: Schema, task: Task) -> None:
    """Refuse behaviours that cannot be tried, and two of one name.

    Raises:
        BadProject: one names a field, a value or a class that there is not, or changes a field in a
            way that its kind does not know; a number's behaviour says not how far it may move.
    """
    names: set[str] = set()
    for behaviour in (one.behaviour for one in declared):
        where = f"behaviour '{behaviour.name}'"
        if behaviour.name in names:
            raise BadProject(
                where=where, found="two behaviours of one name",
                expected="names that tell them apart, for gates and reports",
                remedy="Give one of them name='...'.",
            )  # fmt: skip
        names.add(behaviour.name)
        _check_fields(behaviour, schema, where)
        _check_answer(behaviour, task, where)
        if behaviour.options.get("from") == "rows":
            _check_rows(behaviour, schema, where)


def check_behaviour_gates(gates: Sequence[Gate], declared: Sequence[Expectation]) -> None:
    """Refuse a gate on a behaviour that is not declared.

    Raises:
        BadProject: there is one.
    """
    names = [one.behaviour.name for one in declared]
    for gate in gates:
        if gate.behaviour is not None and gate.behaviour not in names:
            raise BadProject(
                where=f"gate {gate.metric}, behaviour",
                found=f"'{gate.behaviour}'",
                expected="the name of one of behaviours=[...]",
                remedy=nearest(gate.behaviour, names) if names else "Declare it there.",
            )


def _check_fields(behaviour: Behaviour, schema: Schema, where: str) -> None:
    change = behaviour.options.get("change")
    kinds = _NUMBERS if behaviour.kind == "adversarial" else _TAKES.get(str(change), ())
    if change == "missing":
        _check_optional(behaviour, schema, where)
        return
    need_fields(schema, behaviour.fields, where, kinds)
    for field in (schema.field(name) for name in behaviour.fields):
        if field.later:
            raise BadProject(
                where=where, found=f"field '{field.name}', which is declared later=True",
                expected="a field of a request", remedy="Nobody can send it, changed or not.",
            )  # fmt: skip
        _check_change(behaviour, field, where)


def _check_optional(behaviour: Behaviour, schema: Schema, where: str) -> None:
    optional = [field.name for field in schema.request.fields if field.optional]
    for name in behaviour.fields:
        if name not in optional:
            need_fields(schema, (name,), where)
            raise BadProject(
                where=where, found=f"field '{name}', which every request must carry",
                expected="an optional field", remedy=nearest(name, optional),
            )  # fmt: skip
    if not optional:
        raise BadProject(
            where=where, found="no optional field", expected=f"one or more, for {EVERY_OPTIONAL}",
            remedy="Leave this behaviour out: requests that lack a field are refused.",
        )  # fmt: skip


def _check_change(behaviour: Behaviour, field: Field, where: str) -> None:
    options = behaviour.options
    by = options.get("by")
    if options.get("change") == "shift" and field.kind == "integer" and float(str(by)) % 1:
        raise BadProject(
            where=where, found=f"change={by} of '{field.name}', an integer",
            expected="a whole number", remedy="Whole numbers change by whole numbers.",
        )  # fmt: skip
    if options.get("change") == "unit":
        _check_unit(options.get("sent_in"), field, where)
    values = options.get("values")
    for value in values if isinstance(values, list) and field.values else ():
        if value not in field.values:
            raise BadProject(
                where=where, found=f"'{value}', which '{field.name}' cannot be",
                expected="values that the schema lists",
                remedy=nearest(str(value), field.values),
            )  # fmt: skip


def _check_unit(sent_in: object, field: Field, where: str) -> None:
    others = [one.looks_like for one in conversions(field.unit or "")]
    if not others:
        raise BadProject(
            where=where, found=f"unit={field.unit!r} of '{field.name}'",
            expected="a unit that is known, of which there is another",
            remedy="Declare it, for example unit='mph'; or give factor= instead.",
        )  # fmt: skip
    if sent_in is not None and sent_in not in others:
        raise BadProject(
            where=where, found=f"sent_in={sent_in!r} for '{field.name}', in {field.unit}",
            expected="another unit of the same quantity", remedy=nearest(str(sent_in), others),
        )  # fmt: skip


def _check_answer(behaviour: Behaviour, task: Task, where: str) -> None:
    options = behaviour.options
    named = options.get("of") if behaviour.kind == "direction" else options.get("expect")
    if behaviour.kind not in ("direction", "minimum"):
        named = None
    needs_tolerance = (
        behaviour.kind in ("invariance", "robustness", "adversarial")
        or (behaviour.kind == "minimum" and named is not None)
    )  # fmt: skip
    if task.is_regression:
        if needs_tolerance and options.get("tolerance") is None:
            raise BadProject(
                where=where, found="no tolerance", expected=f"one, in {task.unit or 'the label'}",
                remedy="Say how far the value may move: tolerance=...",
            )  # fmt: skip
        if isinstance(named, str):
            raise _no_class(where, named, "a number: the task has no classes")
        return
    is_open = behaviour.kind == "direction" and not task.is_binary
    if (named is None and (is_open or behaviour.kind == "minimum")) or (
        named is not None and named not in task.classes
    ):
        word = "of" if behaviour.kind == "direction" else "expect"
        raise _no_class(where, f"{word}={named!r}", f"one of {list(task.classes)}")
    if behaviour.kind in ("robustness", "adversarial") and options.get("tolerance") is not None:
        raise BadProject(
            where=where, found=f"tolerance={options['tolerance']}",
            expected="none: a decision is turned or not",
            remedy="Leave it out, or take ty.invariant.",
        )  # fmt: skip


def _check_rows(behaviour: Behaviour, schema: Schema, where: str) -> None:
    rows = behaviour.options["rows_given"]
    asked = schema.request
    for number, row in enumerate(rows if isinstance(rows, list) else [], start=1):
        given = row if isinstance(row, dict) else {}
        need_fields(asked, given, f"{where}, row {number}")
        lacks = [one.name for one in asked.fields if not one.optional and one.name not in given]
        if lacks:
            raise BadProject(
                where=f"{where}, row {number}", found=f"no {', '.join(lacks)}",
                expected="every field that is not optional", remedy="A request must carry it, too.",
            )  # fmt: skip


def _no_class(where: str, found: str, expected: str) -> BadProject:
    return BadProject(
        where=where, found=found, expected=expected, remedy="Name one that the task has."
    )
