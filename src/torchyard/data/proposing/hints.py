"""What a person should look at before a schema is used: privacy, constants, leaks."""

from __future__ import annotations

import numpy as np
import polars as pl

from torchyard.data.leaks.alone import macro_auroc
from torchyard.data.proposing.evidence import Evidence, without_missing
from torchyard.data.proposing.infer import are_marked_numbers
from torchyard.data.proposing.privacy import is_place, what_is_personal
from torchyard.records.schema import Field

LEAK_AUROC = 0.98
_BINS = 20
_MOST_BINS = 1000
_MOST_CLASSES = 50
_FEWEST_ROWS = 40


def hints(field: Field, seen: Evidence) -> list[str]:
    """Notes on one field; those on a personal one show no value of it."""
    notes = []
    personal = personal_word(field, seen)
    if personal is not None:
        notes.append(
            f"looks personal ({personal}): declared personal=True, and nothing of its values is "
            "shown; look at it yourself"
        )
    elif is_place(field.name):
        notes.append("may be where a person lives: consider personal=True")
    if are_marked_numbers(seen):
        such = "not" if field.personal else f"such as {seen.no_number!r}"
        notes.append(
            f"{seen.numbers:,} of {seen.present:,} values are numbers, others are {such}: where "
            "that means missing, leave the cell empty and declare ty.number()"
        )
    elif seen.marks:
        notes.append(
            f"{seen.marks:,} values such as NA or ?: where they mean missing, leave the cell empty"
        )
    if seen.zoned > seen.present / 2:
        notes.append("times with an offset: convert them to local ones and declare ty.timestamp()")
    if seen.counts is not None and len(seen.counts) == 1 and not seen.missing:
        value = "" if field.personal else f" ({next(iter(seen.counts))!r})"
        notes.append(f"one value only{value}: drop it, nothing can be learnt from it")
    elif seen.missing > seen.rows / 2:
        notes.append(f"missing in {seen.missing / seen.rows:.0%} of the rows")
    return notes


def personal_word(field: Field, seen: Evidence) -> str | None:
    """What a field says of a person, as ``what_is_personal``."""
    return what_is_personal(field.name, field.kind, seen.forms, seen.present)


def label_hint(values: pl.Series) -> str:
    """How the task may name a label, from a sample of its values."""
    present = values.drop_nulls()
    if values.dtype == pl.Boolean:
        return f"the label: true in {float(present.mean() or 0):.1%} of a sample"  # type: ignore[arg-type]
    if isinstance(values.dtype, pl.List) and values.dtype.inner == pl.String:
        names = sorted(present.explode().drop_nulls().unique().to_list())
        return f"the label: ty.multilabel_classification({values.name!r}, classes={names!r})"
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return f"the label: values of the type {values.dtype}, which no task predicts"
    classes = sorted(str(value) for value in present.unique())
    personal = _personal_label(values)
    if personal is not None:
        return f"the label looks personal ({personal}): its {len(classes)} values are not shown"
    if values.dtype.is_float() or (values.dtype.is_numeric() and len(classes) > _MOST_CLASSES):
        return f"the label: ty.regression({values.name!r}), of {len(classes)} different numbers"
    if len(classes) == 2:
        return (
            f"the label: {classes[0]} or {classes[1]}; ty.binary_classification takes true and "
            "false, and in CSV also 1 and 0 or yes and no"
        )
    if len(classes) <= _MOST_CLASSES:
        return f"the label: ty.multiclass_classification({values.name!r}, classes={classes!r})"
    return f"the label: {len(classes)} different values, which is no classification"


def _personal_label(values: pl.Series) -> str | None:
    seen = Evidence(values.dtype)
    seen.see(values)
    return what_is_personal(values.name, "category", seen.forms, seen.present)


def leak_hints(
    learnt: pl.DataFrame, judged: pl.DataFrame, names: list[str], label: str
) -> dict[str, str]:
    """Columns that say what the label is.

    Class rates per value (numbers: per twentieth) of one sample rank the rows of the other.

    Args:
        learnt: rows that rates are taken from.
        judged: other rows.
        names: the columns to look at; those that the samples lack are left out.
        label: the column of the label; with few different values.
    """
    learnt, judged = learnt.drop_nulls(label), judged.drop_nulls(label)
    if not _has_order(learnt[label].dtype):
        return {}
    classes = learnt[label].unique().sort()
    fits = 1 < len(classes) <= _MOST_CLASSES and min(learnt.height, judged.height) >= _FEWEST_ROWS
    if not fits:
        return {}
    found = {}
    for name in (name for name in names if name in learnt.columns):
        bins = _bins(learnt[name], judged[name])
        if bins is None:
            continue
        tables = [
            _table(places, frame[label], classes)
            for places, frame in zip(bins, (learnt, judged), strict=True)
        ]
        area = macro_auroc(*tables)
        if area is not None and area > LEAK_AUROC:
            found[name] = (
                f"looks like the label in other clothes (alone it reaches AUROC {area:.3f}): is it "
                "known when a prediction is asked for? If not, declare later=True"
            )
    return found


def _has_order(dtype: pl.DataType) -> bool:
    return dtype in (pl.Boolean, pl.String) or dtype.is_numeric()


def _bins(
    learnt: pl.Series, judged: pl.Series
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...] | None:
    if not _has_order(learnt.dtype):
        return None
    both = [without_missing(values) for values in (learnt, judged)]
    if both[0].dtype.is_numeric() and both[0].n_unique() > _BINS:
        numbers = [values.cast(pl.Float64).fill_null(float("nan")).to_numpy() for values in both]
        cuts = np.nanquantile(numbers[0], np.arange(1, _BINS) / _BINS)
        return tuple(np.searchsorted(np.unique(cuts), n, side="right") for n in numbers)
    known = both[0].unique(maintain_order=True)
    if len(known) > min(_MOST_BINS, learnt.len() / 2):
        return None
    places = pl.Series(range(len(known)), dtype=pl.Int64)
    return tuple(
        values.replace_strict(known, places, default=len(known)).to_numpy() for values in both
    )


def _table(
    places: np.ndarray[tuple[int], np.dtype[np.int64]], labels: pl.Series, classes: pl.Series
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    codes = labels.replace_strict(
        classes, pl.Series(range(len(classes)), dtype=pl.Int64), default=len(classes)
    ).to_numpy()
    table = np.zeros((_MOST_BINS + 2, len(classes) + 1), dtype=np.int64)
    np.add.at(table, (places, codes), 1)
    return table[:, : len(classes)]
