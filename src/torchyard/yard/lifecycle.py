"""From data to measured variants: each stage runs unless its inputs were seen before.

Every function takes what the stage before made and returns what the next one needs; heavy libraries
load inside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.digest import digest_json, short
from torchyard.core.record import to_json, write_record
from torchyard.data.read import describe_source, read_source
from torchyard.data.versions import Dataset
from torchyard.project import Project
from torchyard.records.dataset import DatasetVersion
from torchyard.records.evidence import Report, Variant
from torchyard.records.training import Epoch, Run
from torchyard.yard.results import (
    YARDSTICK,
    Array,
    Evaluated,
    Featured,
    OpenProject,
    Optimized,
    TrainedModel,
)
from torchyard.yard.workspace import model_source

if TYPE_CHECKING:
    import polars as pl


def add_data(opened: OpenProject, *, source: object = None, reason: str = "") -> DatasetVersion:
    """Read, validate and keep the project's data; the same content is the same version."""
    started = time.monotonic()
    opened.progress.begin("data")
    project, origin = opened.project, opened.project.data if source is None else source
    dataset = Dataset(opened.workspace.data)
    known = {version.digest for version in dataset.versions()}
    version = dataset.add(
        read_source(origin, folder=opened.workspace.folder),
        project.schema,
        label=project.task.label,
        source=describe_source(origin),
        reason=reason,
    )
    for finding in version.findings:
        opened.progress.note(
            f"{finding.field} {finding.rule} in {finding.rows:,} rows ({finding.severity}), "
            f"for example {', '.join(finding.examples[:2]) or 'all'}"
        )
    summary = f"version {version.number} ({short(version.digest)}): {version.rows:,} rows"
    if version.quarantined:
        summary += f", {version.quarantined:,} set aside"
    opened.progress.end(
        "data", summary, seconds=time.monotonic() - started, skipped=version.digest in known
    )
    return version


def train_model(opened: OpenProject, featured: Featured) -> TrainedModel:
    """Train the project's module, tracked in MLflow from before its first step."""
    source = model_source(opened.loaded)

    def make(folder: Path) -> None:
        _train_into(folder, opened, featured, source)

    def summarize(folder: Path) -> str:
        run = TrainedModel(folder, featured).run
        loss = run.curve[run.best_epoch - 1].validation_loss
        return (
            f"run {run.id[:8]}: {run.parameters:,} parameters, best of {len(run.curve)} epochs "
            f"is {run.best_epoch} (validation loss {loss:.4f})"
        )

    inputs = {
        "features": featured.graph.digest,
        "data": featured.version.digest,
        "split": to_json(opened.project.split),
        "model": source,
        "training": to_json(opened.project.training),
    }
    return TrainedModel(opened.stages.run("train", inputs, make, summarize), featured)


def _train_into(folder: Path, opened: OpenProject, featured: Featured, source: str) -> None:
    from torchyard.train import capture_environment, probe, save_weights, train

    project, settings = opened.project, opened.project.training
    training, validation = featured.examples("train"), featured.examples("validation")
    probe(project.model(featured.graph), featured.graph, training)
    environment = capture_environment(opened.workspace.folder)
    tags = {
        "torchyard.dataset": featured.version.digest,
        "torchyard.features": featured.graph.digest,
        "torchyard.source": source,
        "torchyard.git_commit": environment.git_commit or "none",
    }
    tracker = _tracker(opened)
    with tracker.run(project.name, parameters=to_json(settings), tags=tags) as active:
        active.record("environment.json", to_json(environment))

        def on_epoch(epoch: Epoch) -> None:
            opened.progress.note(
                f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, validation "
                f"{epoch.validation_loss:.4f} ({training.rows / epoch.seconds:,.0f} rows/s)"
            )
            active.metrics(
                {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss},
                step=epoch.number,
            )

        trained = train(
            lambda: project.model(featured.graph),
            training=training, validation=validation, settings=settings, on_epoch=on_epoch,
        )  # fmt: skip
        run = Run(
            id=active.id,
            status="finished",
            training=settings,
            dataset=featured.version.digest,
            features=featured.graph.digest,
            model_source=source,
            parameters=sum(p.numel() for p in trained.module.parameters()),
            train_rows=training.rows,
            validation_rows=validation.rows,
            curve=trained.curve,
            best_epoch=trained.best_epoch,
            seconds=trained.seconds,
            weights_sha256=save_weights(trained.module, folder / "weights.safetensors"),
            environment=environment,
        )
        write_record(folder / "run.json", run)
        active.record("run.json", to_json(run))
        active.file(folder / "weights.safetensors")


def evaluate_model(opened: OpenProject, trained: TrainedModel) -> Evaluated:
    """Calibrate on validation; judge the module on test beside its baselines."""

    def make(folder: Path) -> None:
        from torchyard.evaluate import apply_temperature, fit_linear, fit_majority, fit_temperature

        featured, project = trained.featured, opened.project
        logits = _logits(opened, trained)
        calibration = fit_temperature(
            truth=featured.truth("validation"), logits=logits["validation"]
        )
        write_record(folder / "calibration.json", calibration)
        truth = featured.truth("train")
        linear = fit_linear(featured.tensors("train"), truth, seed=project.training.seed)
        tensors = featured.tensors("test")
        scores = apply_temperature(logits["test"], calibration)
        np.save(folder / f"{YARDSTICK}.test.npy", scores)
        report = _report(
            opened, featured, YARDSTICK, scores,
            baselines={
                "majority": fit_majority(truth).predict(tensors),
                "linear": linear.predict(tensors),
            },
        )  # fmt: skip
        write_record(folder / "report.json", report)
        active = _tracker(opened).resume(trained.run.id)
        active.metrics({f"test_{name}": item.value for name, item in report.metrics.items()})
        active.record("report.json", to_json(report))

    def summarize(folder: Path) -> str:
        evaluated = Evaluated(folder, trained)
        metrics, linear = evaluated.report.metrics, evaluated.report.baselines["linear"]
        auroc = metrics["auroc"]
        return (
            f"test AUROC {auroc.value:.4f} [{auroc.low:.4f}, {auroc.high:.4f}] "
            f"(linear {linear['auroc'].value:.4f}), log loss {metrics['log_loss'].value:.4f}, "
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
        from torchyard.optimize import build_candidates, measure

        parts = {
            split: columns_from_frame(opened.project.schema, featured.rows(split))
            for split in ("validation", "test")
        }
        candidates = build_candidates(
            _module(opened, trained),
            encoder=Encoder(featured.graph_file, threads=1),
            features=featured.graph_file,
            tensors=featured.tensors("train"),
            temperature=evaluated.calibration.temperature,
            folder=folder,
        )
        variants = measure(candidates, parts["test"])
        for candidate, variant in zip(candidates, variants, strict=True):
            write_record(folder / f"{variant.name}.variant.json", variant)
            if candidate.model is None:
                opened.progress.note(f"{variant.name} could not be built: {variant.finding}")
                continue
            report = evaluated.report
            if variant.servable:
                for split, columns in parts.items():
                    scores = candidate.model.run(columns)[:, 1].astype(np.float64)
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
    return Optimized(opened.stages.run("optimize", inputs, make, summarize), evaluated)


def _measured_line(variant: Variant, report: Report) -> str:
    one, many = variant.latency
    return (
        f"{variant.name}: {one.batch} row p50 {one.p50_ms * 1000:.0f} us, "
        f"p99 {one.p99_ms * 1000:.0f} us; {many.batch} rows p50 {many.p50_ms * 1000:.0f} us; "
        f"{variant.size_bytes / 1000:,.0f} kB; AUROC {report.metrics['auroc'].value:.4f}"
    )


def _report(
    opened: OpenProject,
    featured: Featured,
    name: str,
    scores: Array,
    *,
    baselines: Mapping[str, Array],
) -> Report:
    from torchyard.evaluate import evaluate

    rows = featured.rows("test")
    return evaluate(
        model=name,
        split="test",
        truth=featured.truth("test"),
        probability=scores,
        threshold=opened.project.task.threshold,
        groups={field: _texts(rows, field) for field in _protected(opened.project)},
        slices={field: _texts(rows, field) for field in opened.project.slices},
        baselines=baselines,
        seed=opened.project.training.seed,
    )


def _logits(opened: OpenProject, trained: TrainedModel) -> dict[str, Array]:
    from torchyard.train.loop import predict_logits

    module = _module(opened, trained)
    return {
        split: predict_logits(module, trained.featured.examples(split))
        for split in ("validation", "test")
    }


def _module(opened: OpenProject, trained: TrainedModel) -> Any:
    from torchyard.train import load_weights

    return load_weights(opened.project.model(trained.featured.graph), trained.weights)


def _tracker(opened: OpenProject) -> Any:
    from torchyard.train import Tracker

    return Tracker(opened.workspace.tracking_url, opened.workspace.tracking_files)


def _protected(project: Project) -> list[str]:
    return [field.name for field in project.schema.fields if field.protected]


def _texts(rows: pl.DataFrame, field: str) -> Array:
    import polars as pl

    values: Array = rows[field].cast(pl.String).fill_null("(missing)").to_numpy()
    return values
