"""Gates held against what was measured: of the module in PyTorch, and of every variant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.digest import short
from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.records.measures import Measured
from torchyard.records.verdicts import CHAMPION, Verdict
from torchyard.yard.champion import champion_answers
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


def judge_evaluated(opened: OpenProject, evaluated: Evaluated) -> tuple[Verdict, ...]:
    """Hold the module in PyTorch against every gate that can be judged before variants are built.

    What is measured of variants is left open.
    """
    from torchyard.evaluate import judge

    champion = _champion_asked(opened, evaluated.trained)
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
    champion = _champion_asked(opened, evaluated.trained)
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


def _champion_asked(opened: OpenProject, trained: TrainedModel) -> Sample | None:
    """The champion's answers; None also when no gate asks."""
    asked = any(gate.against == CHAMPION for gate in opened.project.gates)
    return champion_answers(opened, trained) if asked else None
