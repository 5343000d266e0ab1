"""A full evaluation of a million rows, and its intervals beside scikit-learn in a numpy loop.

Full means: every metric with its interval, three baselines and how much worse the model is than
each, three protected fields with all their intersections, three slice fields, and the search for
the worst slices in twenty fields; of two classes and of ten, each in a process of its own. Answers
are drawn at random, baselines are the model's answers with noise.

The loop draws the rows with replacement and asks scikit-learn for the AUROC, the average precision,
log loss, Brier score, accuracy and F1 of each resample. It does three resamples, scaled to
the 1,000 that are made here (of nineteen metrics), by turns three times.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from slice_search import columns

from torchyard.evaluate import Sample, evaluate, measure
from torchyard.evaluate.counting.losses import row_losses
from torchyard.evaluate.resampling.bootstrap import RESAMPLES
from torchyard.evaluate.weak.slice_conditions import part_rows
from torchyard.evaluate.weak.slice_search import least_rows, search_slices
from torchyard.records.schema import Task

ROWS = 1_000_000
TURNS = 3
LOOPED = 3  # resamples of the loop, which takes about two seconds for each
PROTECTED = {"sex": 2, "race": 5, "age": 4}
SLICES = {"carrier": 8, "month": 12, "hour": 24}

Floats = np.ndarray[Any, np.dtype[np.float64]]


def make(rows: int, classes: int) -> tuple[Sample, dict[str, Floats]]:
    """Labels drawn with the very probabilities that are answered, and three noisier answers."""
    draw = np.random.default_rng(0)
    logits = 1.5 * draw.normal(size=(rows, classes)) - 0.2 * np.arange(classes)
    outputs = shares(logits)
    truth = (outputs.cumsum(axis=1) > draw.random((rows, 1))).argmax(axis=1)
    baselines = {
        f"baseline {number}": shares(logits + 0.5 * number * draw.normal(size=logits.shape))
        for number in range(1, 4)
    }
    names = tuple(f"class {number}" for number in range(classes))
    if classes == 2:
        task = Task(kind="binary_classification", label="late", classes=names)
        return Sample(task=task, truth=truth == 1, outputs=outputs), baselines
    task = Task(kind="multiclass_classification", label="kind", classes=names)
    return Sample(task=task, truth=truth.astype(np.int64), outputs=outputs), baselines


def shares(logits: Floats) -> Floats:
    """Softmax."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def full(rows: int, classes: int) -> None:
    """One evaluation with everything: seconds and peak memory."""
    sample, baselines = make(rows, classes)
    draw = np.random.default_rng(1)
    groups, slices = (
        {name: draw.integers(0, values, rows).astype(str) for name, values in fields.items()}
        for fields in (PROTECTED, SLICES)
    )
    made = columns(rows, draw)
    before = peak_mib()
    start, cpu_start = time.perf_counter(), time.process_time()
    report = evaluate(
        sample, model="fp32", split="test", groups=groups, slices=slices, baselines=baselines
    )
    middle = time.perf_counter()
    metric, losses = row_losses(sample)
    min_rows = least_rows(rows)
    parted = [
        part for field, column in made for part in part_rows(field, column, min_rows=min_rows)
    ]
    search = search_slices(losses, parted, metric=metric, min_rows=min_rows)
    end, cpu = time.perf_counter(), time.process_time() - cpu_start
    print(
        f"{rows:,} rows of {classes} classes, {RESAMPLES:,} resamples: "
        f"{end - start:.1f} s ({cpu:.0f} s of processor time), of it "
        f"{middle - start:.1f} s for {len(report.metrics)} metrics, {len(report.baselines)} "
        f"baselines, {len(report.groups)} groups and {len(report.slices)} slices, and "
        f"{end - middle:.1f} s for the search of {search.tried:,} slices; peak memory "
        f"{peak_mib():,.0f} MiB, {before:,.0f} before"
    )


def against_a_loop(rows: int) -> None:
    """Intervals of one model here and in the loop, by turns."""
    from sklearn import metrics as sk

    sample, _ = make(rows, 2)
    truth, probability = np.asarray(sample.truth), np.ascontiguousarray(sample.outputs[:, 1])
    draw = np.random.default_rng(2)
    scored = (sk.roc_auc_score, sk.average_precision_score, sk.log_loss, sk.brier_score_loss)
    decided = (sk.accuracy_score, sk.f1_score)

    def here() -> None:
        measure(sample, generator=np.random.default_rng(3))

    def loop() -> None:
        for _ in range(LOOPED):
            rows_drawn = draw.integers(0, rows, rows)
            true, likely = truth[rows_drawn], probability[rows_drawn]
            for score in scored:
                score(true, likely)
            for score in decided:
                score(true, likely >= 0.5)

    pairs = [(seconds(here), seconds(loop) * RESAMPLES / LOOPED) for _ in range(TURNS)]
    ratios = sorted(there / own for own, there in pairs)
    print(
        f"intervals of {rows:,} rows, {RESAMPLES:,} resamples: "
        f"{np.median([own for own, _ in pairs]):.1f} s here, "
        f"{np.median([there for _, there in pairs]):,.0f} s in the loop (scaled from {LOOPED} "
        f"resamples); {np.median(ratios):.0f} times ({ratios[0]:.0f} to {ratios[-1]:.0f})"
    )


def seconds(work: Callable[[], None]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        full(ROWS, int(sys.argv[1]))
    else:
        for number in (2, 10):
            subprocess.run([sys.executable, __file__, str(number)], check=True)
        against_a_loop(ROWS)
