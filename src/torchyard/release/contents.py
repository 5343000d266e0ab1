"""What goes into a release, before it is laid out: the evidence and where its files are now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchyard.core.record import Json
from torchyard.records.abstaining import Abstention
from torchyard.records.dataset import DatasetVersion, Profile
from torchyard.records.evidence import Evidence, Variant
from torchyard.records.manifest import Lineage
from torchyard.records.schema import Schema, Task
from torchyard.records.training import FeatureGraph, Run
from torchyard.records.verdicts import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that a release folder and its model card are written from.

    Attributes:
        model: the project's name.
        description: who uses the answers and for what, in a sentence; may be empty.
        license: an SPDX identifier for the model card, or None.
        schema: the raw fields of a request.
        task: what is predicted.
        dataset: the version of the data that was trained on, without values of personal fields.
        features: the fitted feature graph; ``features_graph`` is its ONNX file.
        run: the training run.
        evidence: what was measured and judged.
        ladder: the servable variants to ship, the one to serve first, first.
        variant_files: for each of them the ONNX file from raw columns to calibrated answers.
        reference: input distributions, in the schema's fields; counts only of personal ones.
        reference_answers: the distribution of the answers to test rows, see
            ``data.profile.answers_schema``.
        golden_requests: rows as a client sends them, with stand-ins for personal values.
        golden_answers: for each of them the answer, in the order of the task's outputs.
        golden_tolerance: the largest difference of an answer that a replay may show: of a
            probability absolute, of a number relative.
        lineage: the digests of what the release was made from.
        abstention: when it does not answer, without values of personal fields; None where it always
            does.
        objective: the service level that it was judged by; None where none was declared.
    """

    model: str
    description: str
    license: str | None
    schema: Schema
    task: Task
    dataset: DatasetVersion
    features: FeatureGraph
    features_graph: Path
    run: Run
    evidence: Evidence
    ladder: tuple[str, ...]
    variant_files: dict[str, Path]
    reference: Profile
    reference_answers: Profile
    golden_requests: tuple[dict[str, Json], ...]
    golden_answers: tuple[tuple[float, ...], ...]
    golden_tolerance: float
    lineage: Lineage
    abstention: Abstention | None = None
    objective: Objective | None = None

    def variant(self, name: str) -> Variant:
        """The measured variant of that name.

        Raises:
            KeyError: the evidence has none.
        """
        for variant in self.evidence.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)
