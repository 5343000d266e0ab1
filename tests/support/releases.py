"""A small complete release with plausible records, for the tests of every room that opens one.

The default model is real: an ONNX graph from raw columns to probabilities that ONNX Runtime runs,
``probability = sigmoid(distance / 1000 - 1)`` with a missing distance taken as 0; its golden
answers are computed here, in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from torchyard.core.digest import digest_bytes, digest_file
from torchyard.core.files import staged_folder
from torchyard.core.record import Json
from torchyard.records.calibration import Calibration, Tried
from torchyard.records.dataset import DatasetVersion, FieldProfile, Finding, Profile
from torchyard.records.evidence import (
    Evidence,
    GroupResult,
    Latency,
    Parity,
    ReliabilityBin,
    Report,
    Variant,
)
from torchyard.records.manifest import Lineage
from torchyard.records.measures import Measured
from torchyard.records.schema import Field, Schema, Task
from torchyard.records.training import (
    Environment,
    Epoch,
    FeatureGraph,
    FeatureTensor,
    Run,
    Training,
)
from torchyard.records.verdicts import Verdict
from torchyard.release import Contents, Release, ensure_key, seal, write_contents

SEALED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

SCHEMA = Schema(
    fields=(
        Field(name="distance", kind="number", optional=True, ge=0, le=5000, unit="km"),
        Field(name="carrier", kind="category", values=("AA", "DL", "UA"), protected=True),
        Field(name="departs", kind="timestamp"),
        Field(name="seat", kind="category", optional=True, personal=True),
    )
)
TASK = Task(kind="binary_classification", label="late", classes=("on time", "late"))

GOLDEN: tuple[dict[str, Json], ...] = (
    {"distance": 0.0, "carrier": "AA", "departs": "2026-02-01T08:00:00"},
    {"distance": 1000.0, "carrier": "DL", "departs": "2026-02-01T09:30:00"},
    {"distance": None, "carrier": "UA", "departs": "2026-02-02T23:59:59"},
    {"distance": 4999.5, "carrier": "UA", "departs": "2026-02-03T00:00:00"},
)


def sample_release(
    folder: Path,
    *,
    model: str = "demo",
    onnx: bytes | None = None,
    ladder: tuple[str, ...] = ("onnx-fp32",),
    change: Callable[[Contents], Contents] = lambda contents: contents,
    clock: Callable[[], datetime] = lambda: SEALED_AT,
) -> Release:
    """Seal a release under ``folder/releases`` with a key in ``folder/keys``.

    Args:
        folder: a temporary folder; two releases in one folder share the key.
        model: the model's name.
        onnx: the bytes of every variant's file; None for ``sample_onnx()``.
        ladder: the variants to ship.
        change: what is to be different about the contents; another description is enough for
            another id.
        clock: gives the time of sealing.
    """
    contents = change(sample_contents(folder / "made", model=model, onnx=onnx, ladder=ladder))
    releases = folder / "releases"
    with staged_folder(releases) as stage:
        write_contents(stage, contents)
        return seal(
            stage,
            model=contents.model,
            ladder=contents.ladder,
            lineage=contents.lineage,
            key=ensure_key(folder / "keys"),
            releases=releases,
            clock=clock,
        )


def sample_contents(
    folder: Path,
    *,
    model: str = "demo",
    onnx: bytes | None = None,
    ladder: tuple[str, ...] = ("onnx-fp32",),
) -> Contents:
    """Contents whose files lie in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = folder / "features.onnx"
    graph.write_bytes(b"stands for a feature graph")
    files = {name: folder / f"{name}.onnx" for name in ladder}
    for file in files.values():
        file.write_bytes(sample_onnx() if onnx is None else onnx)
    features = FeatureGraph(
        digest=digest_file(graph),
        inputs=("distance",),
        tensors=(
            FeatureTensor(
                name="numbers", dtype="float32", shape=(1,), cardinality=0, fields=("distance",),
                operation="standardize",
            ),
        ),
        fitted_rows=800,
    )  # fmt: skip
    dataset = sample_dataset()
    run = sample_run(dataset=dataset.digest, features=features.digest)
    return Contents(
        model=model,
        description="Gate staff use it to warn passengers of delays.",
        license="apache-2.0",
        schema=SCHEMA,
        task=TASK,
        dataset=dataset,
        features=features,
        features_graph=graph,
        run=run,
        evidence=sample_evidence(files),
        ladder=ladder,
        variant_files=files,
        reference=dataset.profile,
        reference_answers=Profile(rows=800, fields=(sample_answers(),)),
        golden_requests=GOLDEN,
        golden_answers=tuple(answer(row["distance"]) for row in GOLDEN),
        golden_tolerance=1e-4,
        lineage=Lineage(
            dataset=dataset.digest,
            features=features.digest,
            run=run.id,
            weights=run.weights_sha256,
            source=run.model_source,
            git_commit=None,
        ),
    )


def answer(distance: float | None) -> tuple[float, float]:
    """What the sample model answers, computed without it."""
    late = 1 / (1 + math.exp(1 - (distance or 0.0) / 1000))
    return 1 - late, late


@cache
def sample_onnx() -> bytes:
    """An ONNX graph over the sample schema's raw columns, as ARCHITECTURE.md lays them down."""
    from onnx import TensorProto, helper

    return onnx_after_logit(
        helper.make_node("Sigmoid", ["logit"], ["late"]),
        helper.make_node("Sub", ["one", "late"], ["on_time"]),
        helper.make_node("Concat", ["on_time", "late"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["probabilities"], to=TensorProto.FLOAT),
        classes=2,
    )


def onnx_after_logit(*nodes: Any, classes: int, output: str = "probabilities") -> bytes:
    """A graph over the sample schema's raw columns, with ``nodes`` from a logit to its answer.

    ``logit`` is the distance in thousands less 1, a missing one counting as 0; ``zero`` and ``one``
    are there too.
    """
    from onnx import TensorProto, checker, helper

    types = {
        "number": TensorProto.DOUBLE,
        "category": TensorProto.STRING,
        "timestamp": TensorProto.INT64,
    }
    inputs = [
        helper.make_tensor_value_info(field.name, types[field.kind], ["rows", 1])
        for field in SCHEMA.fields
    ]
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", classes])
    constants = [
        helper.make_tensor(name, TensorProto.DOUBLE, [1], [value])
        for name, value in {"zero": 0.0, "one": 1.0, "thousand": 1000.0}.items()
    ]
    to_logit = [
        helper.make_node("IsNaN", ["distance"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "distance"], ["known"]),
        helper.make_node("Div", ["known", "thousand"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["logit"]),
    ]
    graph = helper.make_graph(
        [*to_logit, *nodes], "sample", inputs, [answer], initializer=constants
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


def sample_dataset() -> DatasetVersion:
    """A dataset version with a finding and a profile of every field."""
    distance = FieldProfile(
        name="distance", kind="number", rows=800, missing=8, unit="km", minimum=100.0,
        maximum=4900.0, mean=1500.0, edges=(500.0, 1000.0, 2000.0), counts=(100, 192, 300, 200),
        quantiles=(300.0, 500.0, 700.0, 900.0, 1200.0, 1600.0, 2000.0, 2600.0, 3500.0),
    )  # fmt: skip
    carrier = FieldProfile(
        name="carrier", kind="category", rows=800, missing=0, values=("UA", "AA", "DL"),
        counts=(400, 300, 100),
    )  # fmt: skip
    departs = FieldProfile(
        name="departs", kind="timestamp", rows=800, missing=0,
        edges=tuple(float(hour) for hour in range(1, 24)), counts=(33,) * 16 + (34,) * 8,
    )  # fmt: skip
    seat = FieldProfile(name="seat", kind="category", rows=800, missing=500)
    return DatasetVersion(
        name="flights",
        parent=None,
        operation="replace",
        digest=_digest("dataset"),
        number=3,
        table_version=3,
        created="2026-02-20T10:00:00+00:00",
        author="sam",
        reason="February",
        source="flights.csv",
        schema=SCHEMA,
        label="late",
        rows=1000,
        quarantined=7,
        findings=(
            Finding(
                rule="at most 5000", field="distance", severity="quarantine", rows=7,
                rows_checked=1007, examples=("9999.0",), meaning="above what the schema allows",
            ),
        ),
        profile=Profile(rows=800, fields=(distance, carrier, departs, seat)),
    )  # fmt: skip


def sample_run(*, dataset: str, features: str) -> Run:
    """A finished run of two epochs."""
    return Run(
        id="0123456789abcdef0123456789abcdef",
        status="finished",
        training=Training(max_epochs=2),
        dataset=dataset,
        features=features,
        model_source=_digest("source"),
        parameters=1234,
        train_rows=800,
        validation_rows=100,
        curve=(
            Epoch(number=1, train_loss=0.69, validation_loss=0.65, seconds=1.0),
            Epoch(number=2, train_loss=0.60, validation_loss=0.58, seconds=1.0),
        ),
        best_epoch=2,
        seconds=2.0,
        weights_sha256=_digest("weights"),
        environment=Environment(
            python="3.11.7", platform="Linux", processor="x86_64", cores=2, memory_gib=8.0,
            accelerator="none", packages={"torch": "2.9.0"}, git_commit=None,
            git_diff_sha256=None,
        ),
    )  # fmt: skip


def sample_answers() -> FieldProfile:
    """The reference distribution of the second class's probability."""
    return FieldProfile(
        name="probability", kind="number", rows=800, missing=0, minimum=0.27, maximum=0.98,
        mean=0.6, edges=(0.4, 0.6, 0.8), counts=(200, 200, 200, 200),
        quantiles=(0.3, 0.35, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9),
    )  # fmt: skip


def sample_evidence(files: dict[str, Path]) -> Evidence:
    """Evidence about every file, and about a yardstick that is not shipped."""
    yardstick = Variant(
        name="torch-fp32", runtime="torch", precision="fp32", file=None, sha256=None,
        size_bytes=5000, servable=False, hardware="x86_64, 2 cores", latency=_latency(2.0),
    )  # fmt: skip
    variants = tuple(
        Variant(
            name=name, runtime="onnxruntime", precision="fp32", file=file.name,
            sha256=digest_file(file), size_bytes=file.stat().st_size, servable=True,
            hardware="x86_64, 2 cores", latency=_latency(0.2),
        )
        for name, file in files.items()
    )  # fmt: skip
    verdicts = tuple(
        Verdict(
            gate="auroc at least 0.7", variant=name, outcome="pass", required=True,
            measured=measured(0.81), limit=0.7, reason="the whole interval lies above 0.7",
        )
        for name in files
    )  # fmt: skip
    report = sample_report("torch-fp32")
    return Evidence(
        calibration=Calibration(
            method="temperature", temperature=1.2, rows=100, log_loss_before=0.6,
            log_loss_after=0.58,
            tried=(
                Tried(method="none", loss=0.6, excess=0.02, error=0.004),
                Tried(method="temperature", loss=0.58),
                Tried(method="isotonic", loss=None, why="fewer than 10 rows with: late"),
            ),
        ),
        parity=Parity(
            rows=64, elements=640, worst_difference=0.0, differing_elements=0,
            orders=("row by row", "one batch", "backwards"),
        ),
        reports=(report, *(replace(report, model=name, baselines={}) for name in files)),
        variants=(yardstick, *variants),
        verdicts=verdicts,
    )  # fmt: skip


def sample_report(model: str) -> Report:
    """A report with baselines, two groups, two slices and a reliability curve."""
    groups = (
        GroupResult(
            field="carrier", value="UA", rows=60, classes=(30, 30),
            metrics={"auroc": measured(0.82)},
        ),
        GroupResult(
            field="carrier", value="DL", rows=40, classes=(30, 10),
            metrics={"auroc": measured(0.60, spread=0.05)},
        ),
    )  # fmt: skip
    return Report(
        model=model,
        split="test",
        task=TASK,
        rows=100,
        classes=(60, 40),
        metrics={"auroc": measured(0.81), "log_loss": measured(0.55)},
        baselines={"majority": {"auroc": measured(0.5)}, "linear": {"auroc": measured(0.74)}},
        fairness={"carrier": {"equal_opportunity_difference": measured(0.1)}},
        groups=groups,
        slices=groups,
        reliability=(
            ReliabilityBin(rows=50, predicted=0.3, observed=0.28),
            ReliabilityBin(rows=50, predicted=0.7, observed=0.72),
        ),
    )


def measured(value: float, *, spread: float = 0.02) -> Measured:
    """A number with a symmetric interval."""
    return Measured(
        value=value, low=value - spread, high=value + spread, rows=100, method="bootstrap"
    )


def _latency(p50_ms: float) -> tuple[Latency, ...]:
    return tuple(
        Latency(
            batch=batch, p50_ms=p50_ms * batch, p99_ms=3 * p50_ms * batch, calls=200, spread=0.1
        )
        for batch in (1, 32)
    )


def _digest(name: str) -> str:
    return digest_bytes(name.encode())
