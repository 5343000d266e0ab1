"""The conditions of a slice, as people read them."""

from __future__ import annotations

from torchyard.records.schema import Field, Schema
from torchyard.records.weaknesses import Condition, FoundSlice

MISSING = "(missing)"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def told(found: FoundSlice, schema: Schema) -> str:
    """What the rows of a slice have in common.

    Args:
        found: the slice.
        schema: the fields of a row: their kinds and units.

    Example:
        >>> from torchyard.records.measures import Measured
        >>> wind = Field(name="wind", kind="number", unit="mph")
        >>> schema = Schema(fields=(wind, Field(name="carrier", kind="category")))
        >>> loss = Measured(value=0.9, low=0.8, high=1.0, rows=300, method="")
        >>> told(FoundSlice(conditions=(Condition(field="wind", low=20.0, high=30.0),
        ...                             Condition(field="carrier", value="HA")),
        ...                 rows=300, measured=loss, others=0.4, p_value=0.001), schema)
        "wind from 20 to 30 mph and carrier = 'HA'"
    """
    words = [told_condition(one, schema.field(one.field)) for one in found.conditions]
    fields = {one.field for one in found.conditions}
    if len(words) == 2 and len(fields) == 1:  # two parts of one time: name it once
        words[1] = words[1].removeprefix(f"{found.conditions[1].field} ")
    return " and ".join(words)


def told_condition(condition: Condition, field: Field) -> str:
    """One condition on a field; what a range is of depends on the field's kind.

    A range of a timestamp is one of hours of the day; of a text, of its length.

    Example:
        >>> told_condition(Condition(field="seats", value="(missing)"),
        ...                Field(name="seats", kind="integer"))
        'seats missing'
        >>> told_condition(Condition(field="due", low=18.0, high=21.0),
        ...                Field(name="due", kind="timestamp"))
        'due from 18:00 to 21:00'
        >>> told_condition(Condition(field="title", low=20.0, high=41.0),
        ...                Field(name="title", kind="text"))
        'title of 20 to 40 characters'
    """
    if condition.value is not None:
        return f"{field.name} {_value(condition.value, field)}"
    if field.kind == "timestamp":
        return f"{field.name} from {condition.low or 0:02.0f}:00 to {condition.high or 24:02.0f}:00"
    if field.kind == "text":
        return f"{field.name} of {_range(condition, whole=True)} characters"
    unit = f" {field.unit}" if field.unit else ""
    return f"{field.name} {_numbers(condition, whole=field.kind == 'integer')}{unit}"


def _value(value: str, field: Field) -> str:
    if value == MISSING:
        return "missing"
    if field.kind == "timestamp":
        return f"in {value}" if value in MONTHS else f"on {value}"
    return f"= {value}" if field.kind == "boolean" else f"= '{value}'"


def _numbers(condition: Condition, *, whole: bool) -> str:
    """A range as said of numbers: ``below 20``, ``from 20 to 30``, ``= 3``, ``30 or more``."""
    if condition.low is None:
        return f"below {_number(condition.high)}"
    if condition.high is None:
        return f"at least {_number(condition.low)}"
    if whole and condition.high - condition.low == 1:
        return f"= {_number(condition.low)}"
    return f"from {_range(condition, whole=whole)}"


def _range(condition: Condition, *, whole: bool) -> str:
    """Both ends; of whole numbers the last one that is meant."""
    if condition.low is None:
        return f"fewer than {_number(condition.high)}"
    if condition.high is None:
        return f"at least {_number(condition.low)}"
    last = condition.high - 1 if whole else condition.high
    if last == condition.low:
        return _number(last)
    return f"{_number(condition.low)} to {_number(last)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"
