"""How a trained module answers, kept with its run: sample predictions, and two pictures.

On validation rows as it was trained, before calibration; on test rows as its report says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.record import Json
from torchyard.records.calibration import AS_TRAINED
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema, Task
from torchyard.yard.results import Array, Featured

if TYPE_CHECKING:
    from torch import nn

    from torchyard.evaluate import Sample
    from torchyard.train import ActiveRun

PREDICTIONS = "predictions.json"
SAMPLED_ROWS = 100
_LONGEST_VALUE = 300
# that have a column of their own
_MOST_CLASSES = 10


def record_answers(
    active: ActiveRun, featured: Featured, task: Task, module: nn.Module, *, seed: int
) -> None:
    """Keep how a module answers the validation part.

    A module whose answers are not finite has none to show: the evaluation refuses it.
    """
    from torchyard.evaluate import Sample, apply_calibration, label_scale
    from torchyard.train import predict_logits

    logits = predict_logits(module, featured.examples("validation"))
    if not np.isfinite(logits).all():
        return
    scale = label_scale(task, featured.truth("train"))
    sample = Sample(
        task=task,
        truth=featured.truth("validation"),
        outputs=apply_calibration(logits, replace(AS_TRAINED, scale=scale), task),
    )
    active.record(PREDICTIONS, sample_predictions(featured, sample, seed=seed))
    # so that MLflow's pages show it as a table
    active.tag({"mlflow.loggedArtifacts": f'[{{"path": "{PREDICTIONS}", "type": "table"}}]'})
    _draw_sample(active, sample)


def record_report(active: ActiveRun, report: Report) -> None:
    """Keep a report's numbers, and its pictures."""
    from torchyard.core.record import to_json
    from torchyard.train.pictures import draw_confusion, draw_reliability

    active.metrics({f"{report.split}_{name}": m.value for name, m in report.metrics.items()})
    active.record("report.json", to_json(report))
    of, whose = report.split, _whose(report.task)
    is_numeric = report.task.is_regression
    picture = draw_reliability(report.reliability, whose=whose, of=of, is_numeric=is_numeric)
    active.content(f"pictures/{of}_reliability.png", picture)
    if report.confusion:
        matrix = draw_confusion(np.array(report.confusion), report.task.classes, of=of)
        active.content(f"pictures/{of}_confusion.png", matrix)


def sample_predictions(featured: Featured, sample: Sample, *, seed: int) -> Json:
    """Some validation rows and what is answered to them, as a table.

    Personal fields that may not be logged, pictures and tensors have no column.

    Args:
        featured: where the rows are.
        sample: the validation part and what is answered to it.
        seed: of the choice of rows; up to 100, without replacement.
    """
    from torchyard.data.rows import request_rows
    from torchyard.evaluate.counting.sample import answers

    task, places = sample.task, featured.sample("validation", SAMPLED_ROWS, seed=seed)
    chosen = sample.of(places)
    schema = Schema(fields=tuple(f for f in featured.version.schema.request.fields if f.is_logged))
    rows = request_rows(featured.rows_at("validation", places, schema.names), schema)
    answered = answers(task, chosen.outputs)
    columns: dict[str, list[Json]] = {
        **{name: [_bounded(row.get(name)) for row in rows] for name in schema.names},
        task.label: _told(task, chosen.truth),
        f"{task.label}, answered": _told(task, answered),
    }
    if not task.is_regression and not task.is_multilabel:
        probability = np.take_along_axis(chosen.outputs, answered[:, None], axis=1)[:, 0]
        columns[f"{task.label}, probability"] = probability.round(6).tolist()
    if len(task.classes) <= _MOST_CLASSES:
        for place, name in enumerate(task.classes):
            columns[f"probability of {name}"] = chosen.outputs[:, place].round(6).tolist()
    return {
        "columns": list(columns),
        "data": [list(row) for row in zip(*columns.values(), strict=True)],
    }


def _told(task: Task, values: Array) -> list[Json]:
    """Truths or answers in a table's words: a class, several classes joined, or a number."""
    if task.is_regression:
        return [float(f"{value:.7g}") for value in values.tolist()]
    if task.is_multilabel:
        names = np.array(task.classes, dtype=object)
        return [task.separator.join(names[row]) for row in values]
    return [task.classes[place] for place in values.astype(int)]


def _draw_sample(active: ActiveRun, sample: Sample) -> None:
    from torchyard.evaluate.metrics.kinds import kind_of
    from torchyard.evaluate.metrics.per_class import confusion
    from torchyard.train.pictures import draw_confusion, draw_reliability

    task, kind = sample.task, kind_of(sample.task)
    bins = kind.reliability(kind.sheet(sample).whole())
    of = "validation"
    whose, is_numeric = f"{_whose(task)}, not calibrated", task.is_regression
    picture = draw_reliability(bins, whose=whose, of=of, is_numeric=is_numeric)
    active.content(f"pictures/{of}_reliability.png", picture)
    counts = confusion(sample)
    if counts:
        matrix = draw_confusion(np.array(counts), task.classes, of=of)
        active.content(f"pictures/{of}_confusion.png", matrix)


def _whose(task: Task) -> str:
    """Whose probability a reliability diagram is about."""
    if task.is_regression:
        return task.label
    if task.is_multilabel:
        return "of a class"
    return f"of '{task.classes[1]}'" if task.is_binary else "of the answer"


def _bounded(value: Any) -> Any:
    """A table's cell: long texts are for the data's own pages."""
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]}..."
    return value
