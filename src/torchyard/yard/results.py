"""What the stages hand on: the opened project, and each stage's results, read from their folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.record import Json, from_json, read_record
from torchyard.project import Project
from torchyard.records.abstaining import Abstention
from torchyard.records.calibration import Calibration
from torchyard.records.dataset import DatasetVersion, Finding, Split
from torchyard.records.evidence import VARIANT_FILES, Report, Variant
from torchyard.records.schema import Schema, Task
from torchyard.records.training import FeatureGraph, Run, Tuned
from torchyard.yard.rowfile import Places, read_chunks, read_places
from torchyard.yard.stages import Progress, Stages
from torchyard.yard.workspace import LoadedProject, Workspace

if TYPE_CHECKING:
    import polars as pl

    from torchyard.runtimes import Model
    from torchyard.train import StoredExamples

Array = np.ndarray[Any, np.dtype[Any]]
SPLITS = ("train", "validation", "test")
YARDSTICK = "torch-fp32"
LEAKS = "findings.json"
ABSTENTION = "abstention.json"


@dataclass(frozen=True)
class OpenProject:
    """An opened project: its declaration, its folders, its stages.

    Where a search chose its settings, ``arguments`` are the keyword arguments of its model that are
    bound in ``project.model``, and ``tuned`` says which search it was.
    """

    loaded: LoadedProject
    stages: Stages
    arguments: Mapping[str, Json] = field(default_factory=dict)
    tuned: Tuned | None = None

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

    @cached_property
    def dataset(self) -> DatasetVersion:
        """The version, the leaks between its parts among its findings."""
        leaks = json.loads((self.folder / LEAKS).read_text())
        findings = tuple(from_json(Finding, leak, where=LEAKS) for leak in leaks)
        return dataclasses.replace(self.version, findings=(*self.version.findings, *findings))

    @property
    def inputs(self) -> Schema:
        """The fields that the graph reads, and so every model on it."""
        return Schema(fields=tuple(self.version.schema.field(name) for name in self.graph.inputs))

    def sample(self, split: str, rows: int, *, seed: int) -> Places:
        """Places of some labelled rows of a split, drawn without replacement, ascending."""
        count = next(part.labelled for part in self.splits if part.name == split)
        chosen = np.random.default_rng(seed).choice(count, min(rows, count), replace=False)
        return np.sort(chosen)

    def tensors(self, split: str) -> dict[str, Array]:
        """Feature tensors of a split, mapped from disk."""
        return {
            tensor.name: np.load(self.folder / split / f"{tensor.name}.npy", mmap_mode="c")
            for tensor in self.graph.tensors
        }

    def rows(self, split: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The labelled raw rows of a split: some columns, or all of them and the label.

        All of a large split's columns need not fit in memory: see ``chunks`` and ``rows_at``.
        """
        import polars as pl

        return pl.concat(self.chunks(split, columns))

    def chunks(self, split: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The labelled raw rows of a split, one frame after another."""
        return read_chunks(self.folder / f"{split}.parquet", columns)

    def rows_at(
        self, split: str, places: Places, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The labelled raw rows at some places of a split, counted from 0, in that order."""
        return read_places(self.folder / f"{split}.parquet", places, columns)

    def truth(self, split: str) -> Array:
        """The labels of a split: see ``data/labels`` for their type and shape by kind of task."""
        labels: Array = np.load(self.folder / f"{split}.label.npy")
        return labels

    def examples(self, split: str) -> StoredExamples:
        """A split as the training loop takes it: in files."""
        from torchyard.train import StoredExamples

        folder = self.folder / split
        learnt = self.folder / f"{split}.target.npy"  # where numbers are learnt
        return StoredExamples.open(
            {tensor.name: folder / f"{tensor.name}.npy" for tensor in self.graph.tensors},
            learnt if learnt.exists() else self.folder / f"{split}.label.npy",
        )


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
    """The calibration, the task with its threshold, the yardstick's report on the test split."""

    folder: Path
    trained: TrainedModel

    @cached_property
    def task(self) -> Task:
        """The project's task, its threshold chosen on validation where a rule chooses it."""
        return read_record(Task, self.folder / "task.json")

    @cached_property
    def calibration(self) -> Calibration:
        """Fitted on validation."""
        return read_record(Calibration, self.folder / "calibration.json")

    @cached_property
    def abstention(self) -> Abstention | None:
        """When the model is not to answer, and what training had; None where it always is."""
        path = self.folder / ABSTENTION
        return read_record(Abstention, path) if path.exists() else None

    @cached_property
    def report(self) -> Report:
        """How the module in PyTorch answers the test split, beside its baselines."""
        return read_record(Report, self.folder / "report.json")

    @property
    def outputs(self) -> Array:
        """What it answers to the test rows, ``float64 [rows, outputs]``."""
        outputs: Array = np.load(self.folder / f"{YARDSTICK}.test.npy")
        return outputs

    def baseline(self, name: str | None) -> Array | None:
        """What a baseline answers to the test rows; None where none of that name was trained."""
        file = self.folder / f"baseline.{name}.test.npy"
        return np.load(file) if file.exists() else None


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

    @property
    def servable(self) -> tuple[Variant, ...]:
        """Those that could be built and can be served."""
        return tuple(one for one in self.variants if one.servable and one.finding is None)

    def report(self, variant: str) -> Report:
        """How a variant answers the test split; the yardstick's stands with the evaluation."""
        if variant == YARDSTICK:
            return self.evaluated.report
        return read_record(Report, self.folder / f"{variant}.report.json")

    def scores(self, variant: str, split: str) -> Array:
        """A variant's calibrated probabilities, ``float64 [rows, classes]``.

        ``split`` is ``validation``, for choosing between servable variants, or ``test``, for
        judging; the yardstick has only the latter.
        """
        folder = self.evaluated.folder if variant == YARDSTICK else self.folder
        values: Array = np.load(folder / f"{variant}.{split}.npy")
        return values

    def file(self, variant: str) -> Path:
        """A servable variant's file."""
        return self.folder / variant / VARIANT_FILES[self._variant(variant).runtime]

    def open(self, variant: str) -> Model:
        """A servable variant, open, whatever its runtime."""
        from torchyard.runtimes import open_model

        one = self._variant(variant)
        return open_model(
            self.file(variant),
            runtime=one.runtime,
            features=self.evaluated.trained.featured.graph_file,
            precision=one.precision,
        )

    def _variant(self, name: str) -> Variant:
        (found,) = (one for one in self.variants if one.name == name)
        return found
