"""Gates, the parity check, sealing and the registry: from measured variants to a release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import PREFIX, short
from torchyard.core.errors import Refused
from torchyard.core.files import staged_folder
from torchyard.core.record import to_json
from torchyard.records.evidence import Evidence, Report
from torchyard.records.manifest import Lineage
from torchyard.records.training import Run
from torchyard.records.verdicts import Objective, Verdict
from torchyard.yard.ageing import age_model, kept_staleness
from torchyard.yard.field_costs import kept_costs
from torchyard.yard.judging import judge_variants, paired, waived_before
from torchyard.yard.proof import GOLDEN_TOLERANCE, check_parity, golden_requests
from torchyard.yard.results import Array, Featured, OpenProject, Optimized
from torchyard.yard.since import tell_changes

if TYPE_CHECKING:
    from torchyard.evaluate import Sample
    from torchyard.release import Contents


@dataclass(frozen=True)
class Released:
    """A sealed release, its number in the registry, and what was decided about it.

    ``waived`` are the verdicts about its variants that a waiver let through.
    """

    id: str
    number: int
    report: Report
    verdicts: tuple[Verdict, ...]
    waived: tuple[Verdict, ...]


def release(opened: OpenProject, optimized: Optimized) -> Released:
    """Judge, and seal what passed; the same evidence is sealed and registered once.

    Raises:
        Refused: no servable variant clears every required gate; or training's features and
            serving's differ.
    """
    verdicts = judge_variants(opened, optimized)
    ladder = _ladder(opened, optimized, verdicts)
    evaluated = optimized.evaluated
    aged = age_model(opened, evaluated.trained.featured, evaluated.task)

    def make(folder: Path) -> None:
        tell_changes(opened, optimized.evaluated.trained)
        identity, number = _seal(opened, optimized, verdicts, ladder)
        (folder / "release.json").write_text(json.dumps({"id": identity, "number": number}))

    def summarize(folder: Path) -> str:
        made = json.loads((folder / "release.json").read_text())
        return f"version {made['number']} ({short(made['id'])}) serves {', then '.join(ladder)}"

    inputs = {
        "optimized": optimized.folder.name,
        "features": optimized.evaluated.trained.featured.folder.name,
        "verdicts": to_json(verdicts),
        "task": to_json(optimized.evaluated.task),
        "abstention": to_json(optimized.evaluated.abstention),
        "objective": to_json(opened.project.objective),
        "schema": to_json(opened.project.schema),
        "description": opened.project.description,
        "staleness": None if aged is None else to_json(aged),
        "costs": to_json(kept_costs(opened, evaluated)),
    }

    def is_there(folder: Path) -> bool:
        identity = str(json.loads((folder / "release.json").read_text())["id"])
        return (opened.workspace.releases / identity.removeprefix(PREFIX)).is_dir()

    folder = opened.stages.run("release", inputs, make, summarize, still_holds=is_there)
    made = json.loads((folder / "release.json").read_text())
    shipped = (one for one in verdicts if one.variant in ladder)
    waived = tuple(one for one in shipped if one.waiver is not None)
    return Released(made["id"], made["number"], optimized.report(ladder[0]), verdicts, waived)


def _ladder(
    opened: OpenProject, optimized: Optimized, verdicts: tuple[Verdict, ...]
) -> tuple[str, ...]:
    """Servable variants that passed, the one to serve first, first.

    Raises:
        Refused: none passed.
    """
    from torchyard.evaluate import passes, refusal

    def own(name: str) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in verdicts if verdict.variant == name)

    kept = [variant for variant in optimized.servable if passes(own(variant.name))]
    for variant in optimized.variants:
        if variant.finding is None:
            _tell(opened, variant.name, own(variant.name))
    if not optimized.servable:
        raise _nothing_built(optimized)
    if not kept:
        first = optimized.servable[0].name
        raise Refused(
            where=f"gates of {opened.project.name}, variant {first}",
            found="; ".join(refusal(own(first))),
            expected="every required gate to pass with its whole interval",
            remedy="Improve the model or its data; or change the gate in project.py, or waive it "
            "there with a name, a reason and an end date.",
        )
    return _ordered(opened, optimized, tuple(variant.name for variant in kept))


def _nothing_built(optimized: Optimized) -> Refused:
    found = [f"{one.name}: {one.finding}" for one in optimized.variants if one.finding]
    return Refused(
        where="variants",
        found="; ".join(" ".join(text.split()) for text in found),
        expected="at least one that can be served",
        remedy="Change what the exporter stumbles over in the module, or call it another way.",
    )


def _tell(opened: OpenProject, variant: str, verdicts: tuple[Verdict, ...]) -> None:
    """One line per variant, and one for every gate that did not simply pass."""
    passed = sum(verdict.outcome == "pass" for verdict in verdicts)
    opened.progress.note(f"{variant}: {passed} of {len(verdicts)} gates pass")
    for verdict in verdicts:
        if verdict.outcome != "pass":
            mark = verdict.outcome if verdict.required else f"{verdict.outcome}, advisory"
            if verdict.waiver is not None:
                mark += f", waived by {verdict.waiver.by} until {verdict.waiver.until}"
            opened.progress.note(f"{variant}: {verdict.gate}: {mark}: {verdict.reason}")


def _ordered(opened: OpenProject, optimized: Optimized, names: tuple[str, ...]) -> tuple[str, ...]:
    """Variants by their loss on validation; the test split judges and must not choose.

    Those whose loss cannot be told from the best one's go first, the fastest at the largest
    measured batch before the others: between equals, speed decides.
    """
    from torchyard.evaluate.metrics.kinds import compute

    split, loss = "validation", optimized.evaluated.task.loss
    truth = optimized.evaluated.trained.featured.truth(split)
    samples = {name: _sample(optimized, truth, optimized.scores(name, split)) for name in names}
    losses = {name: compute(loss, sample) or 0.0 for name, sample in samples.items()}
    speed = {
        variant.name: variant.latency[-1].p50_ms
        for variant in optimized.variants
        if variant.latency
    }
    best = min(names, key=losses.__getitem__)

    def is_worse(name: str) -> bool:
        gap = paired(opened, loss, challenger=samples[name], champion=samples[best])
        return gap is not None and gap.low is not None and gap.low > 0

    equal = [name for name in names if name == best or not is_worse(name)]
    rest = [name for name in names if name not in equal]
    return (*sorted(equal, key=speed.__getitem__), *sorted(rest, key=losses.__getitem__))


def _sample(optimized: Optimized, truth: Array, outputs: Array) -> Sample:
    from torchyard.evaluate import Sample

    return Sample(task=optimized.evaluated.task, truth=truth, outputs=outputs)


def _seal(
    opened: OpenProject,
    optimized: Optimized,
    verdicts: tuple[Verdict, ...],
    ladder: tuple[str, ...],
) -> tuple[str, int]:
    from torchyard.release import ensure_key, register, seal, write_contents

    trained = optimized.evaluated.trained
    contents = _contents(opened, optimized, verdicts, ladder)
    with staged_folder(opened.workspace.releases) as stage:
        write_contents(stage, contents)
        sealed = seal(
            stage,
            model=opened.project.name,
            ladder=ladder,
            lineage=contents.lineage,
            key=ensure_key(opened.workspace.keys),
            releases=opened.workspace.releases,
            clock=lambda: datetime.now(UTC),
        )
    number = register(sealed, tracking_uri=opened.workspace.tracking_url, run_id=trained.run.id)
    return sealed.id, int(number)


def _contents(
    opened: OpenProject,
    optimized: Optimized,
    verdicts: tuple[Verdict, ...],
    ladder: tuple[str, ...],
) -> Contents:
    from torchyard.data.personal import publishable, publishable_profile
    from torchyard.data.profile import profile_chunks, profile_scores
    from torchyard.release import Contents

    project, evaluated = opened.project, optimized.evaluated
    trained, featured = evaluated.trained, evaluated.trained.featured
    golden, answers = golden_requests(opened, optimized.open(ladder[0]), featured)
    schema = project.schema.request
    return Contents(
        model=project.name,
        description=project.description,
        license=None,
        schema=schema,
        task=evaluated.task,
        dataset=publishable(featured.dataset),
        features=featured.graph,
        features_graph=featured.graph_file,
        run=trained.run,
        evidence=_evidence(opened, optimized, verdicts),
        ladder=ladder,
        variant_files={name: optimized.file(name) for name in ladder},
        reference=publishable_profile(
            profile_chunks(lambda: featured.chunks("train", schema.names), schema), schema
        ),
        reference_answers=profile_scores(optimized.scores(ladder[0], "test"), evaluated.task),
        golden_requests=golden,
        golden_answers=answers,
        golden_tolerance=GOLDEN_TOLERANCE,
        lineage=_lineage(featured, trained.run),
        abstention=evaluated.abstention,
        objective=None if project.objective == Objective() else project.objective,
    )


def _evidence(opened: OpenProject, optimized: Optimized, verdicts: tuple[Verdict, ...]) -> Evidence:
    evaluated = optimized.evaluated
    return Evidence(
        calibration=evaluated.calibration,
        parity=check_parity(opened, evaluated.trained.featured),
        reports=(
            evaluated.report,
            *(optimized.report(variant.name) for variant in optimized.servable),
        ),
        variants=optimized.variants,
        verdicts=verdicts,
        waived=waived_before(opened),
        costs=kept_costs(opened, evaluated),
        staleness=kept_staleness(opened, evaluated.trained.featured, evaluated.task),
    )


def _lineage(featured: Featured, run: Run) -> Lineage:
    return Lineage(
        dataset=featured.version.digest,
        features=featured.graph.digest,
        run=run.id,
        weights=run.weights_sha256,
        source=run.model_source,
        git_commit=run.environment.git_commit,
    )
