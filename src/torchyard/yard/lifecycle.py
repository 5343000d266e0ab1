"""From data to measured variants: each stage runs unless its inputs were seen before.

Every function takes what the stage before made and returns what the next one needs; heavy libraries
load inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.digest import digest_json, short
from torchyard.core.record import read_record, to_json, write_record
from torchyard.data.read import describe_source, read_source
from torchyard.data.versions import Dataset
from torchyard.project import Project
from torchyard.records.dataset import DatasetVersion, Split
from torchyard.records.evidence import Calibration, Report, Variant
from torchyard.records.training import Epoch, FeatureGraph, Run
from torchyard.yard.stages import Progress, Stages
from torchyard.yard.workspace import LoadedProject, Workspace, model_source

if TYPE_CHECKING:
    import polars as pl

    from torchyard.train import Examples

Array = np.ndarray[Any, np.dtype[Any]]
SPLITS = ("train", "validation", "test")
YARDSTICK = "torch-fp32"


@dataclass(frozen=True)
class OpenProject:
    """An opened project: its declaration, its folders, its stages."""

    loaded: LoadedProject
    stages: Stages

    @property
    def project(self) -> Project:
        """What ``project.py`` declares."""
        return self.loaded.project

    @property
    def workspace(self) -> Workspace:
        """Where its things are."""
        return self.loaded.workspace

    @property
    def progress(self) -> Progress:
        """Who is told what goes on."""
        return self.stages.progress


@dataclass(frozen=True)
class Featured:
    """The splits of a dataset version as feature tensors, and the graph that made them."""

    folder: Path
    version: DatasetVersion

    @property
    def graph_file(self) -> Path:
        """The feature graph."""
        return self.folder / "features.onnx"

    @cached_property
    def graph(self) -> FeatureGraph:
        """The feature graph's record."""
        return read_record(FeatureGraph, self.folder / "features.json")

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Train, validation and test."""
        return tuple(read_record(Split, self.folder / f"{name}.json") for name in SPLITS)

    def tensors(self, split: str) -> dict[str, Array]:
        """Feature tensors of a split, mapped from disk."""
        return {
            tensor.name: np.load(self.folder / split / f"{tensor.name}.npy", mmap_mode="c")
            for tensor in self.graph.tensors
        }

    def rows(self, split: str) -> pl.DataFrame:
        """The labelled raw rows of a split, label included."""
        import polars as pl

        return pl.read_parquet(self.folder / f"{split}.parquet")

    def truth(self, split: str) -> Array:
        """The labels of a split, ``bool [rows]``."""
        labels: Array = np.load(self.folder / split / "label.npy")
        return labels

    def examples(self, split: str) -> Examples:
        """A split as the training loop takes it."""
        from torchyard.train import Examples

        return Examples.from_arrays(self.tensors(split), self.truth(split))


@dataclass(frozen=True)
class TrainedModel:
    """A finished run and its weights."""

    folder: Path
    featured: Featured

    @property
    def weights(self) -> Path:
        """The weights."""
        return self.folder / "weights.safetensors"

    @cached_property
    def run(self) -> Run:
        """The run's record."""
        return read_record(Run, self.folder / "run.json")


@dataclass(frozen=True)
class Evaluated:
    """The calibration and the yardstick's report on the test split."""

    folder: Path
    trained: TrainedModel

    @cached_property
    def calibration(self) -> Calibration:
        """Fitted on validation."""
        return read_record(Calibration, self.folder / "calibration.json")

    @cached_property
    def report(self) -> Report:
        """How the module in PyTorch answers the test split, beside its baselines."""
        return read_record(Report, self.folder / "report.json")


@dataclass(frozen=True)
class Optimized:
    """The variants, their reports on the test split, and their scores there."""

    folder: Path
    evaluated: Evaluated

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Every candidate, measured or with its finding."""
        return tuple(
            read_record(Variant, path) for path in sorted(self.folder.glob("*.variant.json"))
        )

    def report(self, variant: str) -> Report:
        """How a variant answers the test split."""
        return read_record(Report, self.folder / f"{variant}.report.json")

    def scores(self, variant: str) -> Array:
        """A variant's probability of the second class on the test split, ``float64 [rows]``."""
        values: Array = np.load(self.folder / f"{variant}.scores.npy")
        return values

    def file(self, variant: str) -> Path:
        """A servable variant's ONNX file."""
        return self.folder / variant / "model.onnx"


def add_data(opened: OpenProject, *, source: object = None, reason: str = "") -> DatasetVersion:
    """Read, validate and keep the project's data; the same content is the same version."""
    import time

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


def fit_features(opened: OpenProject, version: DatasetVersion) -> Featured:
    """Split, fit on the training part, encode every part through the one graph."""
    project = opened.project

    def make(folder: Path) -> None:
        from torchyard.data.split import split
        from torchyard.features import Encoder, columns_from_frame, fit_graph

        rows = Dataset(opened.workspace.data).read(version)
        parts = split(rows, project.split, label=project.task.label)
        graph = fit_graph(
            project.features, project.schema, parts["train"][1], path=folder / "features.onnx"
        )
        write_record(folder / "features.json", graph)
        encoder = Encoder(folder / "features.onnx")
        for name, (record, labelled) in parts.items():
            write_record(folder / f"{name}.json", record)
            labelled.write_parquet(folder / f"{name}.parquet")
            (folder / name).mkdir()
            np.save(folder / name / "label.npy", labelled[project.task.label].to_numpy())
            tensors = encoder.encode(columns_from_frame(project.schema, labelled))
            for tensor, values in tensors.items():
                np.save(folder / name / f"{tensor}.npy", values)

    def summarize(folder: Path) -> str:
        featured = Featured(folder, version)
        width = sum(tensor.width for tensor in featured.graph.tensors)
        parts = ", ".join(f"{part.name} {part.labelled:,}" for part in featured.splits)
        return f"{len(featured.graph.tensors)} tensors, {width} columns; labelled rows: {parts}"

    inputs = {
        "data": version.digest,
        "split": to_json(project.split),
        "transforms": to_json(project.features),
    }
    return Featured(opened.stages.run("features", inputs, make, summarize), version)


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
        report = _report(
            opened, featured, YARDSTICK,
            apply_temperature(logits["test"], calibration),
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

        rows = featured.rows("test")
        columns = columns_from_frame(opened.project.schema, rows)
        candidates = build_candidates(
            _module(opened, trained),
            encoder=Encoder(featured.graph_file, threads=1),
            features=featured.graph_file,
            tensors=featured.tensors("train"),
            temperature=evaluated.calibration.temperature,
            folder=folder,
        )
        variants = measure(candidates, columns)
        for candidate, variant in zip(candidates, variants, strict=True):
            write_record(folder / f"{variant.name}.variant.json", variant)
            if candidate.model is None:
                opened.progress.note(f"{variant.name} could not be built: {variant.finding}")
                continue
            scores = _second_class(candidate.model.run(columns))
            np.save(folder / f"{variant.name}.scores.npy", scores)
            report = _report(opened, featured, variant.name, scores, baselines={})
            write_record(folder / f"{variant.name}.report.json", report)
            latency = {item.batch: item for item in variant.latency}
            opened.progress.note(
                f"{variant.name}: batch 1 p50 {latency[1].p50_ms * 1000:.0f} us, "
                f"p99 {latency[1].p99_ms * 1000:.0f} us; batch 32 p50 "
                f"{latency[32].p50_ms * 1000:.0f} us; {variant.size_bytes / 1000:,.0f} kB; "
                f"AUROC {report.metrics['auroc'].value:.4f}"
            )

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
        split: predict_logits(module, trained.featured.examples(split).tensors)
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


def _second_class(scores: Array) -> Array:
    values: Array = scores[:, 1].astype(np.float64)
    return values
