"""The simple models that any model must beat: trained by themselves, on the same features."""

from __future__ import annotations

from torchyard.records.schema import Task
from torchyard.yard.results import Array, Featured, OpenProject


def answer_baselines(opened: OpenProject, featured: Featured, task: Task) -> dict[str, Array]:
    """What each baseline answers to the test rows, ``float64 [rows, outputs]``.

    ``last_value`` is there where rows are split by time. It takes a slice field for what rows
    belong to where there is one; of several none is the obvious one.
    """
    from torchyard.evaluate import fit_linear, fit_majority, fit_trees

    seed, truth = opened.project.training.seed, featured.truth("train")
    train, test = featured.tensors("train"), featured.tensors("test")
    answers = {
        "majority": fit_majority(truth, task).predict(test),
        "linear": fit_linear(train, truth, task, seed=seed).predict(test),
        "trees": fit_trees(train, truth, task, seed=seed).predict(test),
    }
    if opened.project.split.by == "time":
        answers["last_value"] = _last_value(opened, featured, task)
    return answers


def _last_value(opened: OpenProject, featured: Featured, task: Task) -> Array:
    import numpy as np
    import polars as pl

    from torchyard.evaluate import predict_last_value
    from torchyard.features import columns_from_frame
    from torchyard.records.schema import Schema

    time, schema = opened.project.split.fields[0], opened.project.schema
    valued = [one.field for one in opened.project.sliced if not (one.edges or one.by)]
    entity = valued[0] if len(valued) == 1 else None
    names = [time, *([] if entity is None else [entity])]
    splits = ("train", "validation", "test")
    rows = pl.concat([featured.rows(split, list(dict.fromkeys(names))) for split in splits])
    truth = np.concatenate([featured.truth(split) for split in splits])
    times = columns_from_frame(Schema(fields=(schema.field(time),)), rows)[time]
    entities = None if entity is None else rows[entity].cast(pl.String).fill_null("").to_numpy()
    return predict_last_value(
        task,
        times=times[:, 0],
        truth=truth,
        asked=np.arange(len(truth) - len(featured.truth("test")), len(truth)),
        entities=entities,
    )
