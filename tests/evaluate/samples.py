"""Samples whose truth is known: labels drawn with the very probabilities that are predicted."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.tally import Bools, Floats
from torchyard.records.evidence import Latency, Measured, Variant


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
            Latency(batch=1, p50_ms=p99_ms / 2, p99_ms=p99_ms, calls=2000, spread=0.1),
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
