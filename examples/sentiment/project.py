"""Is a sentence about a film positive? Trained from scratch; shift.py shows it on other sentences.

Fetch the sentences first: python fetch.py
"""

from model import WordsNet
from sentences import SCHEMA, TASK, sentences

import torchyard as ty

project = ty.Project(
    name="sentiment",
    description="Sorts comments on films for a person to read: the unhappy ones first.",
    task=TASK,
    data=lambda: sentences("film"),
    schema=SCHEMA,
    split=ty.split_by_column("part"),
    features=ty.Features(words=ty.tokenize("text", length=48, vocabulary=8_000)),
    model=WordsNet,
    training=ty.Training(max_epochs=20, batch_size=128, learning_rate=3e-3, patience=3, seed=7),
    gates=[
        ty.gate("auroc", at_least=0.80),
        ty.gate("expected_calibration_error", at_most=0.06),
        ty.gate("auroc", against="champion", drop_at_most=0.01),
        ty.gate("agreement", at_least=0.97),
    ],
    objective=ty.Objective(p99_ms=5, max_size_mb=5),
)
