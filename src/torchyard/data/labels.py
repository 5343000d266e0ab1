"""What the label column holds in each kind of task: its form in a frame, and the truth of rows.

| Task | Column of a source | In a checked frame | Truth |
|---|---|---|---|
| binary | booleans | Boolean | ``bool [rows]`` |
| multiclass | texts, whole numbers | String | ``int64 [rows]``, places among the classes |
| multilabel | texts, lists of texts | String, classes joined | ``bool [rows, classes]`` |
| regression | numbers | Float64 | ``float64 [rows]``, in the unit |

An empty text is missing in every column of a checked frame, so there a multilabel row that has none
of the classes holds the separator alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.schema import Field, FieldKind, Task, TaskKind

Array = np.ndarray[Any, np.dtype[Any]]

_KINDS: dict[TaskKind, FieldKind] = {"binary_classification": "boolean", "regression": "number"}


def label_field(task: Task) -> Field:
    """The label as a field of a checked frame: a boolean, a number in its unit, or texts."""
    kind = _KINDS.get(task.kind, "id")
    return Field(name=task.label, kind=kind, optional=True, unit=task.unit, ge=task.ge, le=task.le)


def joined_labels(frame: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Rows as read, the label of a multilabel task as texts of which none is empty.

    Example:
        >>> task = Task(kind="multilabel_classification", label="on", classes=("a", "b"))
        >>> joined_labels(pl.DataFrame({"on": [["a", "b"], [], None]}), task)["on"].to_list()
        ['a|b', '|', None]
    """
    if not task.is_multilabel or task.label not in frame.columns:
        return frame
    label = pl.col(task.label)
    kind = frame.schema[task.label]
    if isinstance(kind, pl.List) and kind.inner in (pl.String, pl.Null):
        label = label.cast(pl.List(pl.String)).list.drop_nulls().list.join(task.separator)
    elif kind not in (pl.String, pl.Categorical, pl.Enum):
        return frame
    text = label.cast(pl.String)
    joined = pl.when(text.str.len_bytes() == 0).then(pl.lit(task.separator)).otherwise(text)
    return frame.with_columns(joined.alias(task.label))


def class_codes(frame: pl.DataFrame, task: Task) -> pl.Series:
    """The index of each row's class in ``task.classes``, Int64 ``[rows]``; null without a label.

    Args:
        frame: checked rows.
        task: one of whose classes a row has just one.

    Raises:
        BadData: a label is not among the classes, or a binary label is not boolean.

    Example:
        >>> task = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> class_codes(pl.DataFrame({"late": [True, None, False]}), task).to_list()
        [1, None, 0]
    """
    label = frame[task.label]
    if task.is_binary:
        if label.dtype not in (pl.Boolean, pl.Null):
            raise _bad_label(task, f"{label.dtype} values", "true or false")
        return label.cast(pl.Int64)
    texts = label.cast(pl.String)
    codes = texts.replace_strict(
        list(task.classes), range(len(task.classes)), default=None, return_dtype=pl.Int64
    )
    unknown = texts.filter(codes.is_null() & texts.is_not_null()).unique(maintain_order=True)
    if len(unknown):
        raise _bad_label(task, _some(unknown), f"one of {', '.join(task.classes)}")
    return codes


def memberships(labels: pl.Series, task: Task) -> tuple[Array, Array]:
    """Which classes each row of a multilabel task has.

    Args:
        labels: of checked rows.
        task: names the classes and what stands between them.

    Returns:
        ``bool [rows, classes]``, all false without a label, and ``bool [rows]``: whether a name in
        the label is none of the classes.

    Example:
        >>> task = Task(kind="multilabel_classification", label="on", classes=("a", "b"))
        >>> has, strange = memberships(pl.Series(["b|a", "|", "b | c", None]), task)
        >>> has.astype(int).tolist(), strange.tolist()
        ([[1, 1], [0, 0], [0, 1], [0, 0]], [False, False, True, False])
    """
    rows = len(labels)
    names = labels.cast(pl.String).str.split(task.separator).alias("name")
    each = pl.DataFrame([names]).with_row_index("row").explode("name", keep_nulls=False)
    each = each.with_columns(pl.col("name").str.strip_chars()).filter(pl.col("name") != "")
    codes = each["name"].replace_strict(
        list(task.classes), range(len(task.classes)), default=-1, return_dtype=pl.Int64
    )
    places, found = each["row"].to_numpy(), codes.to_numpy()
    has = np.zeros((rows, len(task.classes)), dtype=np.bool_)
    has[places[found >= 0], found[found >= 0]] = True
    strange = np.zeros(rows, dtype=np.bool_)
    strange[places[found < 0]] = True
    return has, strange


def truth_of(frame: pl.DataFrame, task: Task) -> Array:
    """The truth of checked rows that all have a label; see above for its type and shape.

    Raises:
        BadData: a label is none that the task knows.
    """
    label = frame[task.label]
    if task.is_regression:
        if not label.dtype.is_numeric() and label.dtype != pl.Null:
            raise _bad_label(task, f"{label.dtype} values", "numbers")
        numbers: Array = label.cast(pl.Float64).to_numpy()
        if not np.isfinite(numbers).all():
            raise _bad_label(task, _some(label.filter(~label.is_finite())), "finite numbers")
        return numbers
    if task.is_multilabel:
        has, strange = memberships(label, task)
        if strange.any():
            unknown = label.filter(pl.Series(strange)).unique(maintain_order=True)
            joined = f"any of {', '.join(task.classes)}, joined by {task.separator!r}"
            raise _bad_label(task, _some(unknown), joined)
        return has
    codes: Array = class_codes(frame, task).to_numpy()
    return codes.astype(np.bool_ if task.is_binary else np.int64)


def label_marks(frame: pl.DataFrame, task: Task) -> Array:
    """A number for each row that is the same where labels are, ``int64 [rows]``; -1 without one.

    Of one of several classes its place. Of several classes or a number 15 bits of a digest: two
    different labels share one with a probability of 3e-5.
    """
    label = frame[task.label]
    if not task.is_multilabel and not task.is_regression:
        codes: Array = class_codes(frame, task).fill_null(-1).to_numpy()
        return codes
    known = label.is_not_null().to_numpy()
    truth = truth_of(frame.filter(pl.Series(known)), task)
    marks = np.full(frame.height, -1, dtype=np.int64)
    marks[known] = _digests(truth if truth.ndim == 2 else truth.view(np.uint64)[:, None])
    return marks


def _digests(parts: Array) -> Array:
    """15 bits of the sum of some numbers a row, each times an odd number of its own."""
    factors = np.random.default_rng(0).integers(1 << 62, size=parts.shape[1], dtype=np.uint64)
    mixed = (parts.astype(np.uint64) * (2 * factors + 1)).sum(axis=1, dtype=np.uint64)
    digests: Array = (mixed >> np.uint64(49)).astype(np.int64)
    return digests


def _some(values: pl.Series) -> str:
    return ", ".join(repr(value) for value in values[:5])


def _bad_label(task: Task, found: str, expected: str) -> BadData:
    return BadData(
        where=f"label '{task.label}'",
        found=found,
        expected=expected,
        remedy="Correct the labels."
        if task.is_regression
        else "Correct the labels, or name every class in the task.",
    )
