"""What is known about a model's quality and speed, and what was decided from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.schema import Task

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number with its 95 % interval, the rows behind it and the method of the interval.

    ``low`` and ``high`` are None where no interval exists (a file's size).
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """The metrics of the rows where ``field`` equals ``value``.

    ``classes`` counts the rows of each class, in the task's order.
    """

    field: str
    value: str
    rows: int
    classes: tuple[int, ...]
    metrics: dict[str, Measured]


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
class Report:
    """How well one model answers one split.

    ``classes`` counts the rows of each class, in the task's order. ``metrics`` are those of all
    rows; ``baselines`` the same metrics of simple models trained on the same rows; ``fairness`` per
    protected field the differences between its groups; ``groups`` the metrics of each group of
    protected fields; ``slices`` those of slice fields. ``per_class`` says how each class is
    answered, and is empty for a binary task, whose metrics are those of its second class.
    ``confusion`` counts the rows of each class (down) by the class they were answered with
    (across); it is empty with more than 50 classes.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Temperature scaling (Guo et al. 2017, section 4.2): logits are divided by ``temperature``.

    Fitted on ``rows`` of the validation split; losses in nats there. ``temperature`` is 1 when
    scaling did not help.
    """

    method: Literal["temperature"]
    temperature: float
    rows: int
    log_loss_before: float
    log_loss_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one call with ``batch`` rows in process, raw fields to answer.

    Percentiles over ``calls`` timed calls; ``spread`` is the range of the rounds' medians over
    their median.
    """

    batch: int
    p50_ms: float
    p99_ms: float
    calls: int
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the model. ``servable`` is False for one that is only a yardstick.

    ``file`` is relative to the release; ``runtime`` opens it. ``finding`` says what went wrong when
    the variant could not be built or measured.
    """

    name: str
    runtime: Literal["onnxruntime", "torch"]
    precision: str
    file: str | None
    sha256: str | None
    size_bytes: int
    servable: bool
    hardware: str
    latency: tuple[Latency, ...]
    finding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit on a measured number.

    ``metric`` names a metric of the report, ``latency_p99_ms``, ``size_mb`` or a fairness
    difference (then with ``group``). ``per_slice`` judges every slice of a field with at least
    ``min_rows``. ``against`` compares with the champion on the same rows: the metric may be worse
    by at most ``drop_at_most``.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    group: str | None = None
    per_slice: str | None = None
    min_rows: int = 0
    against: Literal["champion"] | None = None
    drop_at_most: float | None = None
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate decided about a variant, from which number against which limit."""

    gate: str
    variant: str
    outcome: Outcome
    required: bool
    measured: Measured | None
    limit: float
    reason: str


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
    """Everything that was judged for one release."""

    calibration: Calibration
    parity: Parity
    reports: tuple[Report, ...]
    variants: tuple[Variant, ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The service level a release must meet on the machine that measured it.

    ``p99_ms`` bounds the 99th percentile of one row, raw fields to answer, in process;
    ``max_size_mb`` a variant's file, in units of 10^6 bytes.
    """

    p99_ms: float | None = None
    max_size_mb: float | None = None
