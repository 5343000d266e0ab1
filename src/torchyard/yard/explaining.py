"""What the yardstick looks at: every field that its features read, exchanged among test rows.

Only the yardstick is asked, as in ``weak_spots``: variants answer almost every row as it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from torchyard.records.evidence import Report
from torchyard.yard.results import Array, Featured

if TYPE_CHECKING:
    from torchyard.yard.evaluating import Subject

# Rows that are answered for all fields and repeats together: seconds of work, whatever the width.
_ANSWERED, _ANSWERED_WIDE = 200_000, 8_000
_MOST_ROWS, _FEWEST_ROWS = 4_000, 64
_REPEATS = 3


def with_importance(report: Report, featured: Featured, subject: Subject, *, seed: int) -> Report:
    """A report with the permutation importance of every field that the features read.

    At most 4,000 test rows are asked, three times per field, each time with the field's values in
    another order; fewer where there are many fields, or where rows hold pictures or long texts.

    Args:
        report: without it.
        featured: whose rows and features they are.
        subject: answers them.
        seed: of the rows that are asked and of the orders.
    """
    from torchyard.evaluate import Sample
    from torchyard.evaluate.counting.losses import row_losses
    from torchyard.evaluate.importance import rank_fields

    names = featured.inputs.names
    places = featured.sample("test", _rows(featured), seed=seed)
    rows = featured.rows_at("test", places, names)
    truth, outputs = featured.truth("test")[places], subject.outputs[places]
    sample = Sample(task=subject.task, truth=truth, outputs=outputs)
    metric, losses = row_losses(sample)

    def exchanged(field: str, number: int) -> Array:
        draw = np.random.default_rng([seed, number, *field.encode()])
        order = draw.permutation(rows.height)
        answers = subject.answer(featured, rows.with_columns(rows[field][order]))
        return row_losses(dataclasses.replace(sample, outputs=answers))[1]

    by_field = {
        field: np.stack([exchanged(field, number) for number in range(_REPEATS)]) for field in names
    }
    ranked = rank_fields(losses, by_field, metric=metric, missing=missing_shares(featured))
    return dataclasses.replace(report, importance=ranked)


def missing_shares(featured: Featured, split: str = "test") -> Mapping[str, float]:
    """The share of rows in which each field that the features read has no value, 0 to 1."""
    names = featured.inputs.names
    missing, rows = dict.fromkeys(names, 0), 0
    for frame in featured.chunks(split, names):
        rows += frame.height
        for name in names:
            missing[name] += frame[name].null_count()
    return {name: count / max(1, rows) for name, count in missing.items()}


def _rows(featured: Featured) -> int:
    from torchyard.optimize.width import is_wide

    graph = featured.graph
    wide = bool(graph.host_steps) or is_wide([(one.dtype, one.shape) for one in graph.tensors])
    answered = _ANSWERED_WIDE if wide else _ANSWERED
    each = answered // (_REPEATS * len(graph.inputs))
    return max(_FEWEST_ROWS, min(_MOST_ROWS, each))
