"""The champion as a rival: what it answers to the test rows of the model that wants its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadRecord, NotTrusted, Refused
from torchyard.core.wording import listed
from torchyard.records.schema import Field, Schema, Task
from torchyard.yard.results import Array, OpenProject, TrainedModel

if TYPE_CHECKING:
    from torchyard.evaluate import Sample

_SHOWN_CLASSES = 8


def champion_of(opened: OpenProject) -> str | None:
    """The id of the release that serves; None where nothing does."""
    from torchyard.release import ChannelLog

    with ChannelLog(opened.workspace.channels_url) as log:
        state = log.states().get(opened.project.name)
    return state.champion if state else None


def rival_champion(opened: OpenProject, trained: TrainedModel) -> str | None:
    """The id of the release that serves, unless it is of this very run."""
    from torchyard.release.rules import read_manifest

    champion = champion_of(opened)
    if champion is None:
        return None
    try:
        manifest = read_manifest(opened.workspace.releases / champion.removeprefix(PREFIX))
    except (NotTrusted, BadRecord):  # whoever asks it for answers says so
        return champion
    return None if manifest.lineage.run == trained.run.id else champion


def comparable_champion(opened: OpenProject, trained: TrainedModel, task: Task) -> Array | None:
    """The champion's answers as a baseline's, ``float64 [rows, outputs]``.

    None, which is told, where it cannot answer these rows, and where it decides by another
    threshold: beside each other, all models of a report decide by one.
    """
    try:
        sample = champion_answers(opened, trained)
    except (Refused, NotTrusted, BadRecord) as error:
        opened.progress.note(f"the champion is not in the report: {error}")
        return None
    if sample is None or sample.task.threshold != task.threshold:
        return None
    return sample.outputs


def champion_answers(opened: OpenProject, trained: TrainedModel) -> Sample | None:
    """What the champion answers to the test rows, from its own file, by its own threshold.

    None when nothing serves yet, or when the champion is this very run.

    Raises:
        Refused: it is of another task, or reads fields that the rows do not have.
        NotTrusted: its release does not open.
    """
    from torchyard.evaluate import Sample
    from torchyard.features import columns_from_frame
    from torchyard.optimize import score
    from torchyard.release import open_release
    from torchyard.runtimes import open_model

    champion = champion_of(opened)
    if champion is None:
        return None
    sealed = open_release(
        opened.workspace.releases / champion.removeprefix(PREFIX), trusted=opened.workspace.trusted
    )
    if sealed.manifest.lineage.run == trained.run.id:
        return None
    check_comparable(sealed.task, opened.project.task)
    read = Schema(fields=tuple(sealed.schema.field(name) for name in sealed.features.inputs))
    _need_common_fields(read, opened.project.schema)
    variant = sealed.variants[sealed.manifest.ladder[0]]
    model = open_model(
        sealed.variant_path(variant.name),
        runtime=variant.runtime,
        features=sealed.features_path,
        precision=variant.precision,
    )
    parts = [
        score(model, columns_from_frame(read, rows), graph=sealed.features)
        for rows in trained.featured.chunks("test", read.names)
    ]
    return Sample(
        task=sealed.task, truth=trained.featured.truth("test"), outputs=np.concatenate(parts)
    )


def check_comparable(champion: Task, ours: Task) -> None:
    """Refuse a champion of another kind of task, other classes or another unit."""
    for what, is_same, told in (
        ("tasks", champion.kind == ours.kind, _kind),
        ("classes", champion.classes == ours.classes, _classes),
        ("units", champion.unit == ours.unit, _unit),
    ):
        if not is_same:
            raise Refused(
                where="gates against the champion",
                found=f"a champion {told(champion)}",
                expected=f"one {told(ours)}",
                remedy=f"Two models of other {what} cannot be compared: take the gate out for one "
                "release.",
            )


def _kind(task: Task) -> str:
    return f"for {task.kind.replace('_', ' ')}"


def _classes(task: Task) -> str:
    return f"that answers with {listed(task.classes, most=_SHOWN_CLASSES)}"


def _unit(task: Task) -> str:
    return f"that answers in {task.unit}" if task.unit else "that answers without a unit"


def _need_common_fields(read: Schema, schema: Schema) -> None:
    """Refuse rows that the champion cannot answer: it reads a field that they lack or hold as
    another kind. Fields that only the candidate has do no harm.
    """
    missing = [field.name for field in read.fields if field.name not in schema.names]
    if missing:
        raise Refused(
            where="gates against the champion",
            found=f"test rows without the champion's fields {', '.join(missing)}",
            expected="rows that both models can answer",
            remedy="Keep the fields in the schema for one more release, or take the gate out.",
        )
    pairs = [(field, schema.field(field.name)) for field in read.fields]
    others = [
        f"{was.name}, {was.kind} and now {now.kind}" for was, now in pairs if _raw(was) != _raw(now)
    ]
    if others:
        raise Refused(
            where="gates against the champion",
            found=f"test rows with the champion's fields in another form: {'; '.join(others)}",
            expected="rows that both models can answer",
            remedy="Give such a field another name and keep the old one for one more release, or "
            "take the gate out.",
        )


def _raw(field: Field) -> tuple[object, ...]:
    """What a field's raw column depends on: see ARCHITECTURE.md."""
    alike = {"integer": "number", "boolean": "number", "category": "text", "id": "text"}
    shape = (field.shape, field.dtype) if field.kind == "tensor" else ()
    return (alike.get(field.kind, field.kind), *shape)
