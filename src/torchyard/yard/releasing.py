"""Gates, the parity check, sealing and the registry: from measured variants to a release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from torchyard.core.digest import PREFIX, short
from torchyard.core.errors import Refused
from torchyard.core.files import staged_folder
from torchyard.core.record import to_json
from torchyard.records.evidence import Evidence, Measured, Parity, Report, Verdict
from torchyard.records.manifest import Lineage
from torchyard.records.schema import Field, Schema
from torchyard.yard.lifecycle import YARDSTICK, Array, Featured, OpenProject, Optimized

PARITY_ROWS = 256
GOLDEN_ROWS = 32
# The same file on another processor may order float32 sums differently; what this lets through
# is far below any decision, what it stops is a wrong file, vocabulary or temperature.
GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Released:
    """A sealed release, its number in the registry, and what was decided about it."""

    id: str
    number: int
    report: Report
    verdicts: tuple[Verdict, ...]


def judge_variants(opened: OpenProject, optimized: Optimized) -> tuple[Verdict, ...]:
    """Hold every variant that was built against every gate of the project.

    Gates against the champion compare on the same test rows, paired.
    """
    from torchyard.evaluate import judge

    champion = _champion_scores(opened, optimized.evaluated.trained.featured)
    verdicts: list[Verdict] = []
    for variant in optimized.variants:
        if variant.finding is None:
            verdicts += judge(
                opened.project.gates,
                objective=opened.project.objective,
                report=optimized.report(variant.name),
                variant=variant,
                against=_differences(opened, optimized, variant.name, champion),
            )
    return tuple(verdicts)


def release(opened: OpenProject, optimized: Optimized) -> Released:
    """Judge, and seal what passed; the same evidence is sealed and registered once.

    Raises:
        Refused: no servable variant clears every required gate; or training's features and
            serving's differ.
    """
    verdicts = judge_variants(opened, optimized)
    ladder = _ladder(opened, optimized, verdicts)
    champion = _champion(opened)

    def make(folder: Path) -> None:
        identity, number = _seal(opened, optimized, verdicts, ladder)
        (folder / "release.json").write_text(json.dumps({"id": identity, "number": number}))

    def summarize(folder: Path) -> str:
        made = json.loads((folder / "release.json").read_text())
        return f"version {made['number']} ({short(made['id'])}) serves {', then '.join(ladder)}"

    inputs = {
        "optimized": optimized.folder.name,
        "features": optimized.evaluated.trained.featured.folder.name,
        "verdicts": to_json(verdicts),
        "task": to_json(opened.project.task),
        "schema": to_json(opened.project.schema),
        "description": opened.project.description,
        "champion": champion,
    }

    def is_there(folder: Path) -> bool:
        made = json.loads((folder / "release.json").read_text())
        return (opened.workspace.releases / made["id"].removeprefix(PREFIX)).is_dir()

    folder = opened.stages.run("release", inputs, make, summarize, still_holds=is_there)
    made = json.loads((folder / "release.json").read_text())
    return Released(made["id"], made["number"], optimized.report(ladder[0]), verdicts)


def _ladder(
    opened: OpenProject, optimized: Optimized, verdicts: tuple[Verdict, ...]
) -> tuple[str, ...]:
    """Servable variants that passed, best first.

    Those whose log loss cannot be told from the best one's go before the others, the fastest at
    batch 32 first: between equals, speed decides.

    Raises:
        Refused: none passed.
    """
    from torchyard.evaluate import passes, refusal

    def own(name: str) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in verdicts if verdict.variant == name)

    passed = [v for v in optimized.variants if v.servable and v.finding is None]
    kept = [variant for variant in passed if passes(own(variant.name))]
    for verdict in verdicts:
        if verdict.variant != YARDSTICK:
            mark = verdict.outcome if verdict.required else f"{verdict.outcome}, advisory"
            opened.progress.note(f"{verdict.variant}: {verdict.gate}: {mark}: {verdict.reason}")
    if not kept:
        first = passed[0].name if passed else YARDSTICK
        reasons = refusal(own(first))
        raise Refused(
            where=f"gates of {opened.project.name}, variant {first}",
            found="; ".join(reasons) or "no servable variant could be built",
            expected="every required gate to pass with its whole interval",
            remedy="Improve the model or its data, or change the gate in project.py and say why.",
        )
    losses = {v.name: optimized.report(v.name).metrics["log_loss"].value for v in kept}
    best = min(kept, key=lambda variant: losses[variant.name])
    equal = [v for v in kept if v is best or not _is_worse(opened, optimized, v.name, best.name)]
    equal.sort(key=lambda variant: variant.latency[-1].p50_ms)
    rest = sorted((v for v in kept if v not in equal), key=lambda variant: losses[variant.name])
    return tuple(variant.name for variant in (*equal, *rest))


def _is_worse(opened: OpenProject, optimized: Optimized, name: str, best: str) -> bool:
    difference = _paired(
        opened, optimized, "log_loss", optimized.scores(name), optimized.scores(best)
    )
    return difference is not None and difference.low is not None and difference.low > 0


def _differences(
    opened: OpenProject, optimized: Optimized, variant: str, champion: Array | None
) -> dict[str, Measured] | None:
    """For each metric that a gate compares: how much worse the variant is than the champion."""
    if champion is None:
        return None
    scores = optimized.scores(variant)
    found = {
        gate.metric: _paired(opened, optimized, gate.metric, scores, champion)
        for gate in opened.project.gates
        if gate.against is not None
    }
    return {metric: value for metric, value in found.items() if value is not None}


def _paired(
    opened: OpenProject, optimized: Optimized, metric: str, challenger: Array, champion: Array
) -> Measured | None:
    from torchyard.evaluate import paired_difference

    return paired_difference(
        metric,
        truth=optimized.evaluated.trained.featured.truth("test"),
        challenger=challenger,
        champion=champion,
        threshold=opened.project.task.threshold,
        generator=np.random.default_rng(opened.project.training.seed),
    )


def _champion(opened: OpenProject) -> str | None:
    from torchyard.release import ChannelLog

    with ChannelLog(opened.workspace.channels_url) as log:
        state = log.states().get(opened.project.name)
    return state.champion if state else None


def _champion_scores(opened: OpenProject, featured: Featured) -> Array | None:
    """What the champion answers to the test rows, ``float64 [rows]``, from its own file.

    None when nothing serves yet, or when no gate asks.
    """
    from torchyard.features import columns_from_frame
    from torchyard.release import open_release
    from torchyard.runtimes import open_model

    champion = _champion(opened)
    if champion is None or all(gate.against is None for gate in opened.project.gates):
        return None
    sealed = open_release(
        opened.workspace.releases / champion.removeprefix(PREFIX), trusted=opened.workspace.trusted
    )
    rows = featured.rows("test")
    missing = [name for name in sealed.schema.names if name not in rows.columns]
    if missing:
        raise Refused(
            where="gates against the champion",
            found=f"test rows without the champion's fields {', '.join(missing)}",
            expected="rows that both models can answer",
            remedy="Keep the fields in the schema for one more release, or take the gate out.",
        )
    model = open_model(sealed.variant_path(sealed.manifest.ladder[0]))
    scores: Array = model.run(columns_from_frame(sealed.schema, rows))[:, 1].astype(np.float64)
    return scores


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
) -> Any:
    import polars as pl

    from torchyard.data.profile import profile
    from torchyard.data.rows import request_rows
    from torchyard.features import columns_from_frame
    from torchyard.release import Contents
    from torchyard.runtimes import open_model

    project, evaluated = opened.project, optimized.evaluated
    trained, featured = evaluated.trained, evaluated.trained.featured
    test = featured.rows("test")
    golden = test.sample(min(GOLDEN_ROWS, test.height), seed=project.training.seed)
    answers = open_model(optimized.file(ladder[0])).run(columns_from_frame(project.schema, golden))
    scores = Schema(fields=(Field(name="probability", kind="number"),))
    return Contents(
        model=project.name,
        description=project.description,
        license=None,
        schema=project.schema,
        task=project.task,
        dataset=featured.version,
        features=featured.graph,
        features_graph=featured.graph_file,
        run=trained.run,
        evidence=Evidence(
            calibration=evaluated.calibration,
            parity=check_parity(opened, featured),
            reports=(
                evaluated.report,
                *(
                    optimized.report(variant.name)
                    for variant in optimized.variants
                    if variant.servable and variant.finding is None
                ),
            ),
            variants=optimized.variants,
            verdicts=verdicts,
        ),
        ladder=ladder,
        variant_files={name: optimized.file(name) for name in ladder},
        reference=profile(featured.rows("train"), project.schema),
        reference_answers=profile(
            pl.DataFrame({"probability": optimized.scores(ladder[0])}), scores
        ),
        golden_requests=tuple(request_rows(golden, project.schema)),
        golden_answers=tuple(tuple(float(p) for p in row) for row in answers),
        golden_tolerance=GOLDEN_TOLERANCE,
        lineage=Lineage(
            dataset=featured.version.digest,
            features=featured.graph.digest,
            run=trained.run.id,
            weights=trained.run.weights_sha256,
            source=trained.run.model_source,
            git_commit=trained.run.environment.git_commit,
        ),
    )


def check_parity(opened: OpenProject, featured: Featured) -> Parity:
    """Feed real rows through serving's own path and compare with what training saw, bit by bit.

    Serving's path: JSON text, the request decoder, raw columns, the feature graph; row by row, all
    at once, and backwards.

    Raises:
        Refused: any element differs.
    """
    from torchyard.data.rows import request_rows
    from torchyard.features import Encoder, difference
    from torchyard.serve.decode import RowDecoder

    test = featured.rows("test")
    chosen = np.sort(
        np.random.default_rng(0).choice(test.height, min(PARITY_ROWS, test.height), replace=False)
    )
    trained_on = {name: np.array(t[chosen]) for name, t in featured.tensors("test").items()}
    decoder = RowDecoder(opened.project.schema, max_rows=PARITY_ROWS)
    encoder = Encoder(featured.graph_file, threads=1)

    def serve(places: Array) -> dict[str, Array]:
        body = json.dumps({"rows": request_rows(test[places.tolist()], opened.project.schema)})
        return encoder.encode(decoder.columns(decoder.decode(body.encode()).rows))

    singles = [serve(chosen[place : place + 1]) for place in range(len(chosen))]
    ways = {
        "row by row": {n: np.concatenate([s[n] for s in singles]) for n in trained_on},
        "one batch": serve(chosen),
        "backwards": {name: tensor[::-1] for name, tensor in serve(chosen[::-1]).items()},
    }
    compared = [difference(trained_on, served) for served in ways.values()]
    parity = Parity(
        rows=len(chosen),
        elements=sum(elements for elements, _, _ in compared),
        worst_difference=max(worst for _, _, worst in compared),
        differing_elements=sum(differing for _, differing, _ in compared),
        orders=tuple(ways),
    )
    if parity.differing_elements:
        raise Refused(
            where="parity of training and serving",
            found=f"{parity.differing_elements} of {parity.elements} feature values that differ, "
            f"by up to {parity.worst_difference:g}",
            expected="bit-identical features on both paths",
            remedy="Run the features stage again: rm -r .torchyard/stages/features",
        )
    return parity
