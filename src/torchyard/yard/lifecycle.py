"""From features to measured variants: each stage runs unless its inputs were seen before.

Every function takes what the stage before made and returns what the next one needs; heavy libraries
load inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchyard.core.digest import digest_json
from torchyard.core.record import to_json, write_record
from torchyard.project import Project
from torchyard.records.evidence import Report, Variant
from torchyard.yard.answers import record_report
from torchyard.yard.building import build_module
from torchyard.yard.results import (
    YARDSTICK,
    Array,
    Evaluated,
    Featured,
    OpenProject,
    Optimized,
    TrainedModel,
)
from torchyard.yard.tracking import tracker_of
from torchyard.yard.wording import headline, headline_name, headline_value

# rows that latency is measured on: each call takes the next ones
_TIMED_ROWS = 8_192


def evaluate_model(opened: OpenProject, trained: TrainedModel) -> Evaluated:
    """Calibrate on validation; judge the module on test beside its baselines."""

    def make(folder: Path) -> None:
        from torchyard.evaluate import apply_temperature, fit_linear, fit_majority, fit_temperature

        featured, project, task = trained.featured, opened.project, opened.project.task
        logits = _logits(opened, trained)
        calibration = fit_temperature(
            truth=featured.truth("validation"), logits=logits["validation"]
        )
        write_record(folder / "calibration.json", calibration)
        truth = featured.truth("train")
        linear = fit_linear(featured.tensors("train"), truth, task, seed=project.training.seed)
        tensors = featured.tensors("test")
        scores = apply_temperature(logits["test"], calibration)
        np.save(folder / f"{YARDSTICK}.test.npy", scores)
        report = _report(
            opened, featured, YARDSTICK, scores,
            baselines={
                "majority": fit_majority(truth, task).predict(tensors),
                "linear": linear.predict(tensors),
            },
        )  # fmt: skip
        write_record(folder / "report.json", report)
        record_report(tracker_of(opened).resume(trained.run.id), report)

    def summarize(folder: Path) -> str:
        evaluated = Evaluated(folder, trained)
        report, task = evaluated.report, evaluated.report.task
        return (
            f"test {headline(report)} (linear {headline_value(task, report.baselines['linear'])}), "
            f"log loss {report.metrics['log_loss'].value:.4f}, "
            f"temperature {evaluated.calibration.temperature:.3f}"
        )

    inputs = {
        "weights": trained.run.weights_sha256,
        "run": trained.run.id,
        "task": to_json(opened.project.task),
        "slices": list(opened.project.slices),
        "protected": _protected(opened.project),
    }
    return Evaluated(opened.stages.run("evaluate", inputs, make, summarize), trained)


def optimize_model(opened: OpenProject, evaluated: Evaluated) -> Optimized:
    """Build the variants, measure each, and report how each answers the test split."""
    trained = evaluated.trained
    featured = trained.featured

    def make(folder: Path) -> None:
        from torchyard.features import Encoder, columns_from_frame
        from torchyard.optimize import build_candidates, measure, score

        inputs = featured.inputs
        some = featured.rows_at("test", featured.sample("test", _TIMED_ROWS, seed=0), inputs.names)
        candidates = build_candidates(
            _module(opened, trained),
            encoder=Encoder(featured.graph_file, threads=1),
            features=featured.graph_file,
            tensors=featured.tensors("train"),
            task=opened.project.task,
            temperature=evaluated.calibration.temperature,
            folder=folder,
        )
        variants = measure(candidates, columns_from_frame(inputs, some))
        for candidate, variant in zip(candidates, variants, strict=True):
            write_record(folder / f"{variant.name}.variant.json", variant)
            if candidate.model is None or variant.finding is not None:
                opened.progress.note(f"{variant.name} could not be built: {variant.finding}")
                continue
            report = evaluated.report
            if variant.servable:
                for split in ("validation", "test"):
                    scores = np.concatenate([
                        score(
                            candidate.model, columns_from_frame(inputs, rows), graph=featured.graph
                        )
                        for rows in featured.chunks(split, inputs.names)
                    ])  # fmt: skip
                    np.save(folder / f"{variant.name}.{split}.npy", scores)
                report = _report(opened, featured, variant.name, scores, baselines={})
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
    }

    def can_serve(folder: Path) -> bool:
        return bool(Optimized(folder, evaluated).servable)

    # where nothing could be built, what was amiss with the machine may have been mended since
    folder = opened.stages.run("optimize", inputs, make, summarize, still_holds=can_serve)
    return Optimized(folder, evaluated)


def _measured_line(variant: Variant, report: Report) -> str:
    one, many = variant.latency
    return (
        f"{variant.name}: {one.batch} row p50 {one.p50_ms * 1000:.0f} us, "
        f"p99 {one.p99_ms * 1000:.0f} us; {many.batch} rows p50 {many.p50_ms * 1000:.0f} us; "
        f"{variant.size_bytes / 1000:,.0f} kB; {headline_name(report.task)} "
        f"{headline_value(report.task, report.metrics)}"
    )


def _report(
    opened: OpenProject,
    featured: Featured,
    name: str,
    scores: Array,
    *,
    baselines: Mapping[str, Array],
) -> Report:
    from torchyard.evaluate import Sample, evaluate

    sample = Sample(task=opened.project.task, truth=featured.truth("test"), probabilities=scores)
    return evaluate(
        sample,
        model=name,
        split="test",
        groups={field: _texts(featured, field) for field in _protected(opened.project)},
        slices={field: _texts(featured, field) for field in opened.project.slices},
        baselines=baselines,
        seed=opened.project.training.seed,
    )


def _logits(opened: OpenProject, trained: TrainedModel) -> dict[str, Array]:
    from torchyard.train import predict_logits

    module = _module(opened, trained)
    return {
        split: predict_logits(module, trained.featured.examples(split))
        for split in ("validation", "test")
    }


def _module(opened: OpenProject, trained: TrainedModel) -> Any:
    from torchyard.train import load_weights

    return load_weights(build_module(opened.project, trained.featured.graph), trained.weights)


def _protected(project: Project) -> list[str]:
    return [field.name for field in project.schema.fields if field.protected]


def _texts(featured: Featured, field: str) -> Array:
    import polars as pl

    column = featured.rows("test", [field])[field]
    values: Array = column.cast(pl.String).fill_null("(missing)").to_numpy()
    return values
