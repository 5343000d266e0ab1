"""Gates held against what was measured: of the module in PyTorch, and of every variant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.digest import PREFIX, short
from torchyard.core.errors import BadRecord, NotTrusted, Refused
from torchyard.core.wording import listed
from torchyard.records.measures import Measured
from torchyard.records.schema import Field, Schema
from torchyard.records.verdicts import Verdict
from torchyard.yard.results import (
    Array,
    Evaluated,
    OpenProject,
    Optimized,
    TrainedModel,
)

if TYPE_CHECKING:
    from torchyard.evaluate import Sample
    from torchyard.release import Release

CHAMPION = "champion"
_SHOWN_CLASSES = 8


def judge_evaluated(opened: OpenProject, evaluated: Evaluated) -> tuple[Verdict, ...]:
    """Hold the module in PyTorch against every gate that can be judged before variants are built.

    What is measured of variants is left open.
    """
    from torchyard.evaluate import judge

    champion = _champion_answers(opened, evaluated.trained)
    return judge(
        opened.project.gates,
        objective=opened.project.objective,
        report=evaluated.report,
        variant=None,
        against=_differences(opened, evaluated, evaluated.outputs, champion),
        findings=evaluated.trained.featured.dataset.findings,
        today=today(),
    )


def judge_variants(opened: OpenProject, optimized: Optimized) -> tuple[Verdict, ...]:
    """Hold every variant that was built against every gate of the project, the yardstick too.

    Gates against the champion and baselines compare on the same test rows, paired.
    """
    from torchyard.evaluate import judge

    evaluated = optimized.evaluated
    champion = _champion_answers(opened, evaluated.trained)
    verdicts: list[Verdict] = []
    for variant in optimized.variants:
        if variant.finding is None:
            outputs = optimized.scores(variant.name, "test")
            verdicts += judge(
                opened.project.gates,
                objective=opened.project.objective,
                report=optimized.report(variant.name),
                variant=variant,
                against=_differences(opened, evaluated, outputs, champion),
                findings=evaluated.trained.featured.dataset.findings,
                today=today(),
            )
    return tuple(verdicts)


def today() -> date:
    """The day by which waivers are judged, in UTC."""
    return datetime.now(UTC).date()


def waived_before(opened: OpenProject) -> tuple[Verdict, ...]:
    """The verdicts that waivers let through in the model's releases so far, oldest first.

    A release carries those before it, so the list never loses one while any of them is there.
    """
    found: list[Verdict] = []
    for sealed in earlier_releases(opened):
        evidence, ladder = sealed.evidence, sealed.manifest.ladder
        own = (one for one in evidence.verdicts if one.variant in ladder)
        found += [*evidence.waived, *(one for one in own if one.waiver is not None)]
    return tuple(dict.fromkeys(found))


def earlier_releases(opened: OpenProject) -> list[Release]:
    """The model's releases so far that open, oldest first; the others are told."""
    from torchyard.release import list_releases, open_release

    found = []
    for folder in list_releases(opened.workspace.releases):
        try:
            sealed = open_release(folder, trusted=opened.workspace.trusted)
        except (NotTrusted, BadRecord):
            opened.progress.note(
                f"release {short(folder.name)} does not open; what it says is not carried on"
            )
            continue
        if sealed.manifest.model == opened.project.name:
            found.append(sealed)
    return found


def paired(
    opened: OpenProject, metric: str, *, challenger: Sample, champion: Sample
) -> Measured | None:
    """How much worse one model answers than another, on the same resamples of the same rows."""
    from torchyard.evaluate import paired_difference

    return paired_difference(
        metric,
        challenger=challenger,
        champion=champion,
        generator=np.random.default_rng(opened.project.training.seed),
    )


def _differences(
    opened: OpenProject, evaluated: Evaluated, outputs: Array, champion: Sample | None
) -> dict[str, dict[str, Measured]]:
    """For each rival and metric that a gate compares: how much worse these answers are."""
    from torchyard.evaluate import Sample

    task, truth = evaluated.task, evaluated.trained.featured.truth("test")
    challenger = Sample(task=task, truth=truth, outputs=outputs)
    found: dict[str, dict[str, Measured]] = {}
    for gate in opened.project.gates:
        answers = evaluated.baseline(gate.against)
        if gate.against == CHAMPION:
            rival = champion
        else:
            rival = None if answers is None else replace(challenger, outputs=answers)
        if gate.against is None or rival is None:
            continue
        worse = paired(opened, gate.metric, challenger=challenger, champion=rival)
        known = found.setdefault(gate.against, {})
        if worse is not None:
            known[gate.metric] = worse
    return found


def _champion(opened: OpenProject) -> str | None:
    from torchyard.release import ChannelLog

    with ChannelLog(opened.workspace.channels_url) as log:
        state = log.states().get(opened.project.name)
    return state.champion if state else None


def _champion_answers(opened: OpenProject, trained: TrainedModel) -> Sample | None:
    """What the champion answers to the test rows, from its own file, by its own threshold.

    None when nothing serves yet, when the champion is this very run, or when no gate asks.
    """
    from torchyard.evaluate import Sample
    from torchyard.features import columns_from_frame
    from torchyard.optimize import score
    from torchyard.release import open_release
    from torchyard.runtimes import open_model

    champion = _champion(opened)
    if champion is None or all(gate.against != CHAMPION for gate in opened.project.gates):
        return None
    sealed = open_release(
        opened.workspace.releases / champion.removeprefix(PREFIX), trusted=opened.workspace.trusted
    )
    if sealed.manifest.lineage.run == trained.run.id:
        return None
    if sealed.task.classes != opened.project.task.classes:
        theirs, ours = (
            listed(task.classes, most=_SHOWN_CLASSES) for task in (sealed.task, opened.project.task)
        )
        raise Refused(
            where="gates against the champion",
            found=f"a champion that answers with {theirs}",
            expected=f"one that answers with {ours}",
            remedy="Two models of other classes cannot be compared: take the gate out for one "
            "release.",
        )
    read = Schema(fields=tuple(sealed.schema.field(name) for name in sealed.features.inputs))
    _need_common_fields(read, opened.project.schema)
    model = open_model(sealed.variant_path(sealed.manifest.ladder[0]))
    parts = [
        score(model, columns_from_frame(read, rows), graph=sealed.features)
        for rows in trained.featured.chunks("test", read.names)
    ]
    return Sample(
        task=sealed.task, truth=trained.featured.truth("test"), outputs=np.concatenate(parts)
    )


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
