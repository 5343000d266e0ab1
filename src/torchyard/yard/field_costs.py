"""What each field costs: the model trained again without it, and timed beside the model with it.

A field is taken out of the features: a tensor that reads it alone goes, and a transform of several
fields is fitted without it. Where the module cannot do without that tensor, or a transform without
that field, every row gets the same value instead, so that the field says nothing: the loss is then
as honest, but no time is saved. Settings and seed are those of the run.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadData, BadModel, BadProject
from torchyard.core.record import Json, from_json, to_json
from torchyard.project.features import FeatureSet
from torchyard.records.training import Transform
from torchyard.records.weaknesses import FieldCost
from torchyard.yard.evaluating import yardstick
from torchyard.yard.explaining import missing_shares
from torchyard.yard.results import SPLITS, Array, Evaluated, Featured, OpenProject
from torchyard.yard.retraining import Retrained, encode_anew, link_parts, retrain
from torchyard.yard.rowfile import RowWriter
from torchyard.yard.stages import stage_key
from torchyard.yard.ways import decided_by

if TYPE_CHECKING:
    from torchyard.optimize.build import Columns, Runnable

STAGE = "costs"
_FILE = "costs.json"
# transforms of any number of fields, one column or code each: without one they are the same
_SEVERAL = frozenset({"numbers", "standardize", "robust_scale", "quantile", "log", "impute"})
_ROUNDS, _CALLS, _TIMED_ROWS = 15, 20, 512

Clock = Callable[[], float]


def cost_fields(
    opened: OpenProject, evaluated: Evaluated, *, clock: Clock = time.perf_counter
) -> tuple[FieldCost, ...]:
    """Train without each field in turn; what is lost, and what is saved, by falling loss.

    Takes as long as the run for every field.

    Args:
        opened: the project.
        evaluated: its model, which reads all fields.
        clock: seconds, from anywhere.

    Raises:
        BadProject: the model has weights that were given, so there is nothing to train again.
    """
    if opened.project.weights is not None:
        raise BadProject(
            where="torchyard explain --drop-one",
            found="a model whose weights are given",
            expected="one that is trained here, so that it can be trained again",
            remedy="The importance of its fields is in: torchyard explain",
        )

    def make(folder: Path) -> None:
        found = _measure(opened, evaluated, folder, clock)
        (folder / _FILE).write_text(json.dumps(to_json(found), indent=2))

    folder = opened.stages.run(STAGE, _inputs(opened, evaluated), make, _summary)
    return _read(folder)


def kept_costs(opened: OpenProject, evaluated: Evaluated) -> tuple[FieldCost, ...]:
    """What was measured of this run; nothing where nobody asked."""
    folder = opened.workspace.stages / STAGE / stage_key(_inputs(opened, evaluated))
    return _read(folder) if (folder / _FILE).exists() else ()


def features_without(features: FeatureSet, field: str) -> FeatureSet | None:
    """The same features without a field: what reads it alone is gone.

    None where a transform needs it among others, or where nothing would be left.
    """
    kept: list[Transform] = []
    for transform in features:
        if field not in transform.fields:
            kept.append(transform)
        elif set(transform.fields) != {field}:
            rest = _without(transform, field)
            if rest is None:
                return None
            kept.append(rest)
    modules = {one.output: features.modules[one.output] for one in kept
               if one.output in features.modules}  # fmt: skip
    return FeatureSet(kept, modules) if kept else None


def _without(transform: Transform, field: str) -> Transform | None:
    if transform.operation not in _SEVERAL:
        return None
    inputs: list[str | Transform] = []
    for item in transform.inputs:
        read = {item} if isinstance(item, str) else set(item.fields)
        if field not in read:
            inputs.append(item)
        elif read != {field}:
            rest = None if isinstance(item, str) else _without(item, field)
            if rest is None:
                return None
            inputs.append(rest)
    return dataclasses.replace(transform, inputs=tuple(inputs))


def _inputs(opened: OpenProject, evaluated: Evaluated) -> dict[str, Json]:
    trained = evaluated.trained
    return {
        **decided_by(opened, trained.featured),
        "run": trained.run.id,
        "transforms": to_json(tuple(opened.project.features)),
        "task": to_json(evaluated.task),
    }


def _read(folder: Path) -> tuple[FieldCost, ...]:
    kept = json.loads((folder / _FILE).read_text())
    return tuple(from_json(FieldCost, one, where=_FILE) for one in kept)


def _summary(folder: Path) -> str:
    found = _read(folder)
    earning = sum(one.earns_its_cost for one in found)
    return f"{earning} of {len(found)} fields earn their cost"


def _measure(
    opened: OpenProject, evaluated: Evaluated, folder: Path, clock: Clock
) -> tuple[FieldCost, ...]:
    from torchyard.evaluate import Sample
    from torchyard.evaluate.counting.losses import row_losses
    from torchyard.evaluate.importance import field_cost

    featured, task = evaluated.trained.featured, evaluated.task
    sample = Sample(task=task, truth=featured.truth("test"), outputs=evaluated.outputs)
    metric, losses = row_losses(sample)
    missing = missing_shares(featured)
    model = yardstick(opened, evaluated.trained, calibration=evaluated.calibration, task=task)
    names = featured.inputs.names
    found = []
    for number, field in enumerate(names, start=1):
        which = f"Without {field}, {number} of {len(names)}"
        with TemporaryDirectory(dir=folder) as place:
            changed, other = _trained_without(opened, featured, field, Path(place), which)
            outputs = other.outputs(changed, "test")
            without = row_losses(dataclasses.replace(sample, outputs=outputs))[1]
            saved = _saved(model, _runnable(other, evaluated), (featured, other), clock)
        found.append(
            field_cost(
                field, metric=metric, with_it=losses, without_it=without,
                missing=missing[field], microseconds=saved,
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.loss.value, one.field)))


def _trained_without(
    opened: OpenProject, featured: Featured, field: str, folder: Path, which: str
) -> tuple[OpenProject, Retrained]:
    """The project and the model without a field; without what it says where it cannot be left."""
    told = partial(_tell, opened, which)
    features = features_without(opened.project.features, field)
    if features is not None:
        project = dataclasses.replace(opened.project, features=features)
        loaded = dataclasses.replace(opened.loaded, project=project)
        changed = dataclasses.replace(opened, loaded=loaded)
        try:
            parts = encode_anew(changed, link_parts(featured, folder / "without"))
            return changed, retrain(changed, parts, told=told)
        except (BadModel, BadData) as error:  # it needs the tensor, or the transform does
            opened.progress.note(f"{field} is given one value, for it cannot be left out: {error}")
    alike = _made_alike(featured, field, folder / "alike")
    return opened, retrain(opened, encode_anew(opened, alike), told=told)


def _made_alike(featured: Featured, field: str, folder: Path) -> Featured:
    """The same rows, each with the first value that the field has in a training row."""
    import polars as pl

    same = None
    for frame in featured.chunks("train", [field]):
        present = frame[field].drop_nulls()
        if len(present):
            same = present[:1]
            break
    assert same is not None, "a field that the features were fitted on has a value"
    alike = link_parts(featured, folder)
    for name in SPLITS:
        (folder / f"{name}.parquet").unlink()
        with RowWriter(folder / f"{name}.parquet") as writer:
            for frame in featured.chunks(name):
                writer.append(frame.with_columns(pl.lit(same).first().alias(field)))
    return alike


def _runnable(other: Retrained, evaluated: Evaluated) -> Runnable:
    from torchyard.features import Encoder
    from torchyard.optimize.build import EagerModel

    encoder = Encoder(other.featured.graph_file, threads=1)
    return EagerModel(encoder, other.module, task=evaluated.task, calibration=other.calibration)


def _saved(
    model: Runnable, other: Runnable, featured: tuple[Featured, Retrained], clock: Clock
) -> Array:
    """Microseconds that one row takes longer with the field, by round, both models in turn."""
    whole, retrained = featured
    rows = whole.rows_at("test", whole.sample("test", _TIMED_ROWS, seed=0), whole.inputs.names)
    from torchyard.features import columns_from_frame

    feeds = [
        cycle(_singles(columns_from_frame(inputs, rows)))
        for inputs in (whole.inputs, retrained.featured.inputs)
    ]
    differences = []
    for _ in range(_ROUNDS):
        times: list[list[float]] = [[], []]
        for _ in range(_CALLS):
            for place, one in enumerate((model, other)):
                feed = next(feeds[place])
                started = clock()
                one.run(feed)
                times[place].append(clock() - started)
        differences.append(1e6 * (float(np.median(times[0])) - float(np.median(times[1]))))
    return np.array(differences)


def _singles(columns: Columns) -> list[Columns]:
    rows = len(next(iter(columns.values())))
    return [
        {name: column[place : place + 1] for name, column in columns.items()}
        for place in range(rows)
    ]


def _tell(opened: OpenProject, which: str, text: str) -> None:
    opened.progress.tick(f"{which}: {text} ...")
