"""The same question on the weights of all-MiniLM-L6-v2, with a classifier of our own on top.

Fetch the sentences and the weights first: python ../fetch.py --minilm
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from model import MiniLMNet
from sentences import SCHEMA, TASK, sentences

import torchyard as ty

project = ty.Project(
    name="sentiment-minilm",
    description="Sorts comments on films for a person to read: the unhappy ones first.",
    task=TASK,
    data=lambda: sentences("film"),
    schema=SCHEMA,
    split=ty.split_by_column("part"),
    features=ty.Features(
        tokens=ty.tokenize("text", length=40, file=HERE / "weights" / "tokenizer.json")
    ),
    model=MiniLMNet,
    training=ty.Training(max_epochs=2, batch_size=64, learning_rate=3e-4, seed=7),
    gates=[
        ty.gate("auroc", at_least=0.83),
        ty.gate("expected_calibration_error", at_most=0.06),
        ty.gate("auroc", against="champion", drop_at_most=0.01),
    ],
    objective=ty.Objective(p99_ms=100, max_size_mb=100),
)
