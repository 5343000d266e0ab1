"""Train, validation and test: by time, or by a digest that stays when the data grows."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.dataset import Split, SplitRule

NAMES = ("train", "validation", "test")
_BUCKETS = 1 << 32


def split(
    frame: pl.DataFrame, rule: SplitRule, *, label: str
) -> dict[str, tuple[Split, pl.DataFrame]]:
    """Part the rows of a dataset version.

    Args:
        frame: accepted rows.
        rule: by time or by hash.
        label: the boolean column; rows without it stay in their part and are counted.

    Returns:
        Part name to its record and its labelled rows, in the frame's order.

    Raises:
        BadData: a part has no labelled row, or only one class.
    """
    parts = _by_time(frame, rule) if rule.by == "time" else _by_hash(frame, rule)
    made = {}
    for name in NAMES:
        rows = frame.filter(parts == name)
        labelled = rows.filter(pl.col(label).is_not_null())
        record = _describe(name, rows, labelled, rule, label)
        if min(record.classes) == 0:
            raise BadData(
                where=f"{name} split, label '{label}'",
                found=f"{record.classes[1]} positive rows of {record.labelled}",
                expected="rows of both classes",
                remedy="Move the split's limits, or add labelled rows.",
            )
        made[name] = (record, labelled)
    return made


def _by_time(frame: pl.DataFrame, rule: SplitRule) -> pl.Series:
    time = pl.col(rule.fields[0])
    return frame.select(
        pl.when(time < datetime.fromisoformat(rule.validation))
        .then(pl.lit("train"))
        .when(time < datetime.fromisoformat(rule.test))
        .then(pl.lit("validation"))
        .when(time.is_not_null())
        .then(pl.lit("test"))
    ).to_series()


def _by_hash(frame: pl.DataFrame, rule: SplitRule) -> pl.Series:
    """SHA-256 over the fields' text, so that the part of a row outlives versions of libraries."""
    import hashlib

    fields = list(rule.fields) or [name for name in frame.columns]
    texts = frame.select(
        pl.concat_str([pl.col(name).cast(pl.String) for name in fields], separator="\x1f",
                      ignore_nulls=True)
    ).to_series()  # fmt: skip
    shares = pl.Series(
        [
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / _BUCKETS
            for text in texts.to_list()
        ],
        dtype=pl.Float64,
    )
    validation, test = float(rule.validation), float(rule.test)
    return (
        pl.DataFrame({"share": shares})
        .select(
            pl.when(pl.col("share") < test)
            .then(pl.lit("test"))
            .when(pl.col("share") < test + validation)
            .then(pl.lit("validation"))
            .otherwise(pl.lit("train"))
        )
        .to_series()
    )


def _describe(
    name: str, rows: pl.DataFrame, labelled: pl.DataFrame, rule: SplitRule, label: str
) -> Split:
    first = last = None
    positive = int(labelled[label].sum())
    if rule.by == "time" and not rows.is_empty():
        times = rows[rule.fields[0]]
        first, last = str(times.min()), str(times.max())
    return Split(
        name=name,  # type: ignore[arg-type]
        rows=rows.height,
        labelled=labelled.height,
        classes=(labelled.height - positive, positive),
        first=first,
        last=last,
    )
