"""What a row looks like and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldKind = Literal["number", "integer", "boolean", "category", "timestamp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One raw field: its kind and the rules every value of it obeys.

    ``ge`` and ``le`` bound numbers and integers, inclusive, in ``unit``. ``values`` lists the
    allowed categories; empty means any text. ``protected`` fields are judged for fairness.
    ``personal`` fields never reach a prediction log.
    """

    name: str
    kind: FieldKind
    optional: bool = False
    ge: float | None = None
    le: float | None = None
    values: tuple[str, ...] = ()
    unit: str | None = None
    protected: bool = False
    personal: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The raw fields of a row, in order. The label is not among them: see ``Task``."""

    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field of that name.

        Raises:
            KeyError: there is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in order."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted.

    ``label`` is the boolean column of the training data; ``classes`` name its false and its true
    value, in that order, in answers. A row is answered with the second class when its calibrated
    probability is at least ``threshold``.
    """

    kind: Literal["binary_classification"]
    label: str
    classes: tuple[str, str]
    threshold: float = 0.5
