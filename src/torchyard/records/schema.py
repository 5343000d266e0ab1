"""What a row looks like and what is asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from torchyard.records.bands import band_names

FieldKind = Literal[
    "number", "integer", "boolean", "category", "timestamp", "text", "image", "tensor", "id"
]
PersonalUse = Literal["feature", "log"]
TaskKind = Literal[
    "binary_classification",
    "multiclass_classification",
    "multilabel_classification",
    "regression",
]

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

    ``protected`` fields are judged for fairness: by value, or by the ``bands`` between rising edges
    that a number lies in; of a timestamp, its year. ``personal`` fields reach neither a feature nor
    a prediction log unless ``allow`` names that use. A ``later`` field is not known when a
    prediction is asked for: it is kept with the data, and is never a feature nor part of a request.
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
    bands: tuple[float, ...] = ()
    personal: bool = False
    allow: tuple[PersonalUse, ...] = ()
    later: bool = False
    description: str = ""

    @property
    def is_withheld(self) -> bool:
        """Whether its values stay out of logs and releases: personal, and not allowed in a log."""
        return self.personal and "log" not in self.allow

    @property
    def group_names(self) -> tuple[str, ...]:
        """What groups of its rows may be called that the schema itself states; else nothing."""
        return band_names(self.bands) if self.bands else self.values

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
class OperatingRule:
    """How the threshold of a binary task is chosen, on the validation rows.

    With ``false_positive`` and ``false_negative``, the costs of one error of either kind: the least
    total. With ``metric``: the best ``metric`` among the thresholds at which ``subject_to`` is
    ``at_least``.
    """

    false_positive: float | None = None
    false_negative: float | None = None
    metric: str | None = None
    subject_to: str | None = None
    at_least: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted: which of ``classes`` a row belongs to, or a number.

    Binary: ``label`` is a boolean column of the training data; ``classes`` name its false and its
    true value, in that order, in answers. A row is answered with the second class when its
    calibrated probability is at least ``threshold``, which ``operating`` chooses when given.

    Multiclass: ``label`` is a column of texts or whole numbers that, as text, are among
    ``classes``; a row is answered with the most probable class, the first of equals.

    Multilabel: ``label`` is a column of texts, each any number of ``classes`` joined by
    ``separator``, the empty text being none of them, or of lists of texts; a row is answered with
    every class whose calibrated probability is at least ``threshold``.

    Regression: ``label`` is a column of numbers, in ``unit``; ``classes`` is empty. A row is
    answered with a value and with an interval that holds the truth in a share ``coverage`` of rows.
    ``ge`` and ``le``, inclusive and in ``unit``, are the domain of the value: one outside of it is
    no answer, its request fails. With ``standardized`` the module learns, and gives, numbers of
    mean 0 and deviation 1 over the training rows, and its answers are put back into the unit.
    """

    kind: TaskKind
    label: str
    classes: tuple[str, ...]
    threshold: float = 0.5
    operating: OperatingRule | None = None
    separator: str = "|"
    unit: str | None = None
    coverage: float = 0.9
    standardized: bool = True
    ge: float | None = None
    le: float | None = None

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes and a threshold between them."""
        return self.kind == "binary_classification"

    @property
    def is_multilabel(self) -> bool:
        """Whether a row has any number of the classes."""
        return self.kind == "multilabel_classification"

    @property
    def is_regression(self) -> bool:
        """Whether a number is predicted."""
        return self.kind == "regression"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the columns of an answer are: a probability of each class, or value and interval."""
        return ("value", "low", "high") if self.is_regression else self.classes

    @property
    def output_name(self) -> str:
        """What the one output of a variant's graph is called."""
        return "predictions" if self.is_regression else "probabilities"

    @property
    def headline(self) -> str:
        """The metric that stands for a model's quality where there is room for one number."""
        return self.headlines[0]

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that stand for it where there is room for four numbers, that one first."""
        return _HEADLINES[self.kind]

    @property
    def loss(self) -> str:
        """The metric that orders models as their training loss does."""
        return "rmse" if self.is_regression else "log_loss"


_HEADLINES: dict[TaskKind, tuple[str, ...]] = {
    "binary_classification": ("auroc", "average_precision", "log_loss", "brier"),
    "multiclass_classification": ("accuracy", "macro_f1", "log_loss", "brier"),
    "multilabel_classification": ("micro_f1", "macro_f1", "log_loss", "brier"),
    "regression": ("mae", "rmse", "r2", "interval_coverage"),
}
