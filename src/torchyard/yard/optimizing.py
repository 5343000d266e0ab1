"""The optimize stage: variants built, measured and reported on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.digest import digest_json
from torchyard.core.record import to_json, write_record
from torchyard.records.evidence import Report, Variant
from torchyard.yard.behaving import behaviour_inputs
from torchyard.yard.evaluating import Subject, report_on, trained_module
from torchyard.yard.results import (
    Evaluated,
    OpenProject,
    Optimized,
)
from torchyard.yard.wording import headline_name, headline_value

if TYPE_CHECKING:
    from torchyard.optimize.build import Runnable

# rows that latency is measured on: each call takes the next ones
_TIMED_ROWS = 8_192


def optimize_model(opened: OpenProject, evaluated: Evaluated) -> Optimized:
    """Build the variants, measure each, and report how each answers the test split."""
    trained = evaluated.trained
    featured = trained.featured

    def make(folder: Path) -> None:
        from torchyard.features import Encoder, columns_from_frame
        from torchyard.optimize import build_candidates, measure

        inputs = featured.inputs
        some = featured.rows_at("test", featured.sample("test", _TIMED_ROWS, seed=0), inputs.names)
        candidates = build_candidates(
            trained_module(opened, trained),
            encoder=Encoder(featured.graph_file, threads=1),
            features=featured.graph_file,
            tensors=featured.tensors("train"),
            task=evaluated.task,
            calibration=evaluated.calibration,
            folder=folder,
            runtimes=opened.project.runtimes,
        )
        variants = measure(candidates, columns_from_frame(inputs, some))
        for candidate, variant in zip(candidates, variants, strict=True):
            write_record(folder / f"{variant.name}.variant.json", variant)
            if candidate.model is None or variant.finding is not None:
                opened.progress.note(f"{variant.name} could not be built: {variant.finding}")
                continue
            report = evaluated.report
            if variant.servable:
                report = _report(opened, evaluated, variant.name, candidate.model, folder)
                write_record(folder / f"{variant.name}.report.json", report)
            opened.progress.note(_measured_line(variant, report))

    def summarize(folder: Path) -> str:
        variants = Optimized(folder, evaluated).variants
        built = [variant.name for variant in variants if variant.finding is None]
        return f"{len(built)} of {len(variants)} variants built and measured: {', '.join(built)}"

    inputs = {
        "weights": trained.run.weights_sha256,
        "features": featured.graph.digest,
        "calibration": to_json(evaluated.calibration),
        "report": digest_json(to_json(evaluated.report)),
        "behaviours": behaviour_inputs(opened),
        "runtimes": list(opened.project.runtimes),
    }

    def can_serve(folder: Path) -> bool:
        return bool(Optimized(folder, evaluated).servable)

    # where nothing could be built, what was amiss with the machine may have been mended since
    folder = opened.stages.run("optimize", inputs, make, summarize, still_holds=can_serve)
    return Optimized(folder, evaluated)


def _report(
    opened: OpenProject, evaluated: Evaluated, name: str, model: Runnable, folder: Path
) -> Report:
    """How a variant answers the test rows, and whether as the module in PyTorch does.

    Its answers to both parts are kept in the folder.
    """
    from torchyard.evaluate import agreement
    from torchyard.features import columns_from_frame
    from torchyard.optimize import score

    featured, task = evaluated.trained.featured, evaluated.task
    for split in ("validation", "test"):
        scores = np.concatenate([
            score(model, columns_from_frame(featured.inputs, rows), graph=featured.graph)
            for rows in featured.chunks(split, featured.inputs.names)
        ])  # fmt: skip
        np.save(folder / f"{name}.{split}.npy", scores)
    subject = Subject(name, task, model, scores, evaluated.report.operating, evaluated.abstention)
    report = report_on(opened, featured, subject, baselines={})
    truth, yardstick = featured.truth("test"), evaluated.outputs
    alike = agreement(task, outputs=scores, yardstick=yardstick, truth=truth)
    return dataclasses.replace(report, agreement=alike)


def _measured_line(variant: Variant, report: Report) -> str:
    one, many = variant.latency
    alike = report.agreement
    agrees = "" if alike is None else f"; answers {100 * alike.value:.2f} % of rows as the module"
    return (
        f"{variant.name}: {one.batch} row p50 {one.p50_ms * 1000:.0f} us, "
        f"p99 {one.p99_ms * 1000:.0f} us; {many.batch} rows p50 {many.p50_ms * 1000:.0f} us; "
        f"{variant.size_bytes / 1000:,.0f} kB; {headline_name(report.task)} "
        f"{headline_value(report.task, report.metrics)}{agrees}"
    )
