"""What is known about a model's quality and speed, and what was decided from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from torchyard.records.abstaining import SelectiveQuality
from torchyard.records.ageing import Staleness
from torchyard.records.behaviours import BehaviourResult
from torchyard.records.calibration import Calibration
from torchyard.records.measures import Measured
from torchyard.records.schema import Task
from torchyard.records.verdicts import Outcome, Verdict
from torchyard.records.weaknesses import ErrorCluster, FieldCost, FieldImportance, SliceSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """The metrics of the rows where ``field`` equals ``value``.

    An intersection of several fields has their names, and their values, joined by ``", "``.
    ``classes`` counts the rows of each class, in the task's order. ``small`` says why there are too
    few rows to measure; it is empty where they were measured.
    """

    field: str
    value: str
    rows: int
    classes: tuple[int, ...]
    metrics: dict[str, Measured]
    small: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """How one class is answered: ``rows`` have it, ``answered`` were answered with it.

    ``metrics`` are ``precision``, ``recall`` and ``f1``; what is undefined is absent.
    """

    name: str
    rows: int
    answered: int
    metrics: dict[str, Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Rows of similar predicted probability: the mean prediction against the observed rate.

    Of the second class in a binary task; else of the answer, against how often it was right.
    """

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """The threshold that a rule chose on validation, and what it comes to on the reported split.

    ``measures`` are what the rule speaks of: ``cost`` (mean per row, in the rule's own unit), or a
    metric and the one it is subject to. ``validation`` holds their values on the
    ``validation_rows`` that chose, which the choice makes look better than they are; ``test`` their
    values on the report's rows. ``outcome`` says whether the constraint is shown to hold there;
    None without one. ``says`` is all of it in a sentence.
    """

    threshold: float
    measures: tuple[str, ...]
    validation_rows: int
    validation: dict[str, float]
    test: dict[str, Measured]
    outcome: Outcome | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How well one model answers one split.

    ``classes`` counts the rows of each class, in the task's order. ``metrics`` are those of all
    rows; ``baselines`` the same metrics of simple models trained on the same rows; ``fairness`` per
    protected field the differences between its groups; ``groups`` the metrics of each group of
    protected fields; ``slices`` those of slice fields. ``per_class`` says how each class is
    answered, and is empty for a binary task, whose metrics are those of its second class.
    ``confusion`` counts the rows of each class (down) by the class they were answered with
    (across); it is empty with more than 50 classes. ``against`` says per baseline and metric how
    much worse than it the model is, on the same resamples: below 0 where it is better.
    ``agreement`` is the share of rows that are answered as the module in PyTorch answers them; None
    for that module itself. ``operating`` is None where the project states the threshold itself.
    ``selective`` is what abstaining comes to, None where every row is answered; ``outside_domain``
    the share of rows whose value is one that the task does not allow, None where it allows all.
    """

    model: str
    split: str
    task: Task
    rows: int
    classes: tuple[int, ...]
    metrics: dict[str, Measured]
    baselines: dict[str, dict[str, Measured]]
    fairness: dict[str, dict[str, Measured]]
    groups: tuple[GroupResult, ...]
    slices: tuple[GroupResult, ...]
    reliability: tuple[ReliabilityBin, ...]
    per_class: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    against: dict[str, dict[str, Measured]] = dataclasses.field(default_factory=dict)
    weaknesses: SliceSearch | None = None
    clusters: tuple[ErrorCluster, ...] = ()
    behaviours: tuple[BehaviourResult, ...] = ()
    importance: tuple[FieldImportance, ...] = ()
    agreement: Measured | None = None
    operating: OperatingPoint | None = None
    selective: SelectiveQuality | None = None
    outside_domain: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one call with ``batch`` rows in process, raw fields to answer.

    Percentiles over ``calls`` timed calls; ``spread`` is the range of the rounds' medians over
    their median. ``p99_low_ms`` and ``p99_high_ms`` are the 95 % interval of the 99th percentile,
    from the order of the calls alone; None where there are too few of them.
    """

    batch: int
    p50_ms: float
    p99_ms: float
    calls: int
    spread: float
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None


Runtime = Literal["onnxruntime", "openvino", "aotinductor", "torch"]

Device = Literal["cpu", "cuda"]
AskedDevice = Literal["auto", "cpu", "cuda"]  # auto: a GPU where it is there and worth it

# a servable variant's file, by what opens it
VARIANT_FILES: dict[Runtime, str] = {
    "onnxruntime": "model.onnx",
    "openvino": "model.openvino",
    "aotinductor": "model.aoti",
    "torch": "model.pt2",
}
# these hold code, which runs with all rights of whoever opens them
CODE_FILES = frozenset({VARIANT_FILES["aotinductor"], VARIANT_FILES["torch"]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the model. ``servable`` is False for one that is only a yardstick.

    ``file`` is relative to the release; ``runtime`` opens it: that of ``onnxruntime`` goes from raw
    fields to answers, the others begin at the feature tensors. ``precision`` is what it computes
    in. ``finding`` says what went wrong when the variant could not be built or measured.
    """

    name: str
    runtime: Runtime
    precision: str
    file: str | None
    sha256: str | None
    size_bytes: int
    servable: bool
    hardware: str
    latency: tuple[Latency, ...]
    finding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Training's feature tensors against serving's, over real rows.

    ``worst_difference`` is the largest absolute difference of any element (0 means bit-identical);
    ``orders`` says how serving was fed.
    """

    rows: int
    elements: int
    worst_difference: float
    differing_elements: int
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was judged for one release.

    ``waived`` are the verdicts of earlier releases of the model that a waiver let through: they
    are shown for ever. ``staleness`` is None, and ``costs`` are empty, where nobody measured them.
    """

    calibration: Calibration
    parity: Parity
    reports: tuple[Report, ...]
    variants: tuple[Variant, ...]
    verdicts: tuple[Verdict, ...]
    waived: tuple[Verdict, ...] = ()
    staleness: Staleness | None = None
    costs: tuple[FieldCost, ...] = ()
