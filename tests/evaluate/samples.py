"""Samples whose truth is known: labels drawn with the very probabilities that are predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from torchyard.evaluate.counting.sample import Bools, Floats, Sample
from torchyard.records.evidence import Latency, Variant
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

LATE = Task(kind="binary_classification", label="late", classes=("on time", "late"))


def both(probability: Floats) -> Floats:
    """Probabilities of both classes, from that of the second one."""
    return np.stack([1.0 - probability, probability], axis=1)


def binary(truth: Bools, probability: Floats, *, threshold: float = 0.5) -> Sample:
    """A binary sample, from the probability of its second class."""
    task = replace(LATE, threshold=threshold)
    return Sample(task=task, truth=truth, outputs=both(probability))


def task_of(classes: int) -> Task:
    """A task of so many classes."""
    names = tuple(f"class {number}" for number in range(classes))
    return Task(kind="multiclass_classification", label="kind", classes=names)


def many(
    rows: int, *, classes: int = 4, seed: int = 0, decimals: int | None = None, sure: float = 1.5
) -> Sample:
    """Labels drawn with the very probabilities of their classes, rarer ones last.

    ``decimals`` ties logits, ``sure`` is how far apart they are.
    """
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes)) * sure - 0.4 * np.arange(classes)
    logits = logits if decimals is None else logits.round(decimals)
    weights = np.exp(logits)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    drawn = (probabilities.cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    return Sample(task=task_of(classes), truth=drawn.astype(np.int64), outputs=probabilities)


def label_task(classes: int, *, threshold: float = 0.4) -> Task:
    """A task of any number of so many classes at once."""
    names = tuple(f"tag {number}" for number in range(classes))
    return Task(kind="multilabel_classification", label="tags", classes=names, threshold=threshold)


def labels(rows: int, *, classes: int = 4, seed: int = 0, decimals: int | None = None) -> Sample:
    """Labels drawn with the very probabilities of their classes, rarer ones last."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(1.0, 1.0 + np.arange(classes), (rows, classes))
    truth = generator.random((rows, classes)) < probability
    given = probability if decimals is None else probability.round(decimals)
    return Sample(task=label_task(classes), truth=truth, outputs=given)


PRICE = Task(kind="regression", label="price", classes=(), unit="EUR", coverage=0.8)


def numbers(rows: int, *, seed: int = 0, decimals: int | None = None) -> Sample:
    """Truths about 20 drawn around the very predictions, with the very quantiles as intervals."""
    generator = np.random.default_rng(seed)
    value = 20.0 + 3.0 * generator.normal(size=rows)
    value = value if decimals is None else value.round(decimals)
    truth = value + generator.normal(size=rows)
    truth = truth if decimals is None else truth.round(decimals)
    half = 1.2815515655446004  # of a normal distribution: the middle 80 %
    return Sample(task=PRICE, truth=truth, outputs=np.stack([value, value - half, value + half], 1))


def draw(rows: int, *, seed: int = 0, decimals: int | None = None) -> tuple[Bools, Floats]:
    """Labels and honest probabilities, rounded (and so tied) on request."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(1.0, 3.0, rows)
    truth = generator.random(rows) < probability
    return truth, probability if decimals is None else probability.round(decimals)


def about(value: float, half: float = 0.01, *, rows: int = 10_000) -> Measured:
    """A number with a symmetric interval."""
    return Measured(value=value, low=value - half, high=value + half, rows=rows, method="bootstrap")


def variant(*, p99_ms: float | None = 3.0, size_bytes: int = 4_000_000) -> Variant:
    """A servable variant, measured unless its latency is None."""
    latency: tuple[Latency, ...] = ()
    if p99_ms is not None:
        other = Latency(batch=32, p50_ms=90.0, p99_ms=99.0, calls=50, spread=0.1)
        latency = (
            other,
            Latency(
                batch=1,
                p50_ms=p99_ms / 2,
                p99_ms=p99_ms,
                calls=2000,
                spread=0.1,
                p99_low_ms=p99_ms - 0.5,
                p99_high_ms=p99_ms + 0.5,
            ),
        )
    return Variant(
        name="fp32",
        runtime="onnxruntime",
        precision="fp32",
        file="variants/fp32.onnx",
        sha256="sha256:00",
        size_bytes=size_bytes,
        servable=True,
        hardware="one core",
        latency=latency,
        finding=None if latency else "the runtime crashed",
    )
