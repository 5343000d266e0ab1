"""Is a sentence positive? Trained on films from scratch, judged on films, tweets, products, news.

Fetch the sentences first: python fetch.py
"""

from model import WordsNet
from sentences import SCHEMA, TASK, sentences

import torchyard as ty

project = ty.Project(
    name="sentiment",
    description="Sorts comments for a person to read: the unhappy ones first.",
    task=TASK,
    data=sentences,
    schema=SCHEMA,
    split=ty.split_by_column("part"),
    features=ty.Features(words=ty.tokenize("text", length=48, vocabulary=8_000)),
    model=WordsNet,
    training=ty.Training(max_epochs=20, batch_size=128, learning_rate=3e-3, patience=3, seed=7),
    slices=["source"],
    gates=[
        ty.gate("auroc", per_slice="source", at_least=0.55),
        ty.gate("expected_calibration_error", at_most=0.10),
        ty.gate("auroc", against="champion", drop_at_most=0.01),
    ],
    objective=ty.Objective(p99_ms=5, max_size_mb=5),
)
