"""What a row looks like and what is asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FieldKind = Literal[
    "number", "integer", "boolean", "category", "timestamp", "text", "image", "tensor", "id"
]
PersonalUse = Literal["feature", "log"]
TaskKind = Literal["binary_classification", "multiclass_classification"]

LARGEST_IMAGE_BYTES = 16 << 20  # of an encoded picture
LARGEST_IMAGE_PIXELS = 1 << 26  # more would fill the memory when it is decoded
# those that are only pixels: opening one of the others may run a program on it
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

# JSON names, SQL conditions, findings ("a, b"), the columns of logs ("@id") and the patterns that
# polars reads in names ("*", "^a.*$") stand in their way
FIELD_NAME = (
    "a name without commas, quotes, backslashes and control characters, that neither begins with "
    "'@' nor reads as a pattern, such as * or ^a.*$"
)
_UNNAMEABLE = re.compile(r'[",\\\x00-\x1f]|\A@|\A\*?\Z|\A\^.*\$\Z')


def may_be_named(name: str) -> bool:
    """Whether a field, or the label, may have a name: see ``FIELD_NAME``.

    Example:
        >>> may_be_named("net price (€)"), may_be_named("*"), may_be_named("a,b")
        (True, False, False)
    """
    return _UNNAMEABLE.search(name) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One raw field: its kind and the rules every value of it obeys.

    ``ge`` and ``le`` bound numbers and integers, inclusive, in ``unit``. ``values`` lists the
    allowed categories; empty means any text. Texts, categories and ids may have a ``pattern`` (a
    regular expression that the whole value matches) and a length in characters. ``unique`` values
    occur once in a dataset version. ``shape`` and ``dtype`` are those of one row of a tensor.

    ``protected`` fields are judged for fairness. ``personal`` fields reach neither a feature nor a
    prediction log unless ``allow`` names that use. A ``later`` field is not known when a prediction
    is asked for: it is kept with the data, and is never a feature nor part of a request.
    """

    name: str
    kind: FieldKind
    optional: bool = False
    ge: float | None = None
    le: float | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    unique: bool = False
    shape: tuple[int, ...] = ()
    dtype: Literal["float32", "int64"] = "float32"
    unit: str | None = None
    protected: bool = False
    personal: bool = False
    allow: tuple[PersonalUse, ...] = ()
    later: bool = False
    description: str = ""

    @property
    def is_withheld(self) -> bool:
        """Whether its values stay out of logs and releases: personal, and not allowed in a log."""
        return self.personal and "log" not in self.allow

    @property
    def is_logged(self) -> bool:
        """Whether a prediction log holds its values: pictures and tensors are too large for it."""
        return self.kind not in ("image", "tensor") and not self.is_withheld


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

    @property
    def request(self) -> Schema:
        """The fields that a request carries: all but the ``later`` ones."""
        return Schema(fields=tuple(field for field in self.fields if not field.later))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted: which of ``classes`` a row belongs to.

    Binary: ``label`` is a boolean column of the training data; ``classes`` name its false and its
    true value, in that order, in answers. A row is answered with the second class when its
    calibrated probability is at least ``threshold``.

    Multiclass: ``label`` is a column of texts or whole numbers that, as text, are among
    ``classes``; a row is answered with the most probable class, the first of equals.
    """

    kind: TaskKind
    label: str
    classes: tuple[str, ...]
    threshold: float = 0.5

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes and a threshold between them."""
        return self.kind == "binary_classification"

    @property
    def headline(self) -> str:
        """The metric that stands for a model's quality where there is room for one number."""
        return "auroc" if self.is_binary else "accuracy"
