"""What the benchmark's projects share: weights from a seed whose answers differ from row to row.

A server that mixes up the rows of a batch is found by its answers, so these must not be alike.
"""

import numpy as np
import polars as pl
import torch

SPREAD = 2.0  # deviation of the logits over rows
PARTS = {"train": 0.5, "validation": 0.25, "test": 0.25}


def spread_out(module, layer, columns):
    """Scale the last layer so that logits have mean 0 and deviation 2 over some rows."""
    with torch.inference_mode():
        logits = module.eval()(**_tensors(columns)).reshape(len(next(iter(columns.values()))), -1)
    with torch.no_grad():
        scale = SPREAD / logits.std(0)
        layer.weight *= scale[:, None]
        layer.bias.copy_((layer.bias - logits.mean(0)) * scale)
    return module


def labelled(module, columns, classes, seed):
    """A frame of rows with labels drawn from the module's own answers, and the part of each row."""
    with torch.inference_mode():
        logits = module.eval()(**_tensors(columns)).double().numpy()
    if logits.ndim == 1:
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    shares = np.cumsum(odds / odds.sum(1, keepdims=True), axis=1)
    draw = np.random.default_rng(seed)
    drawn = np.minimum((draw.random((len(logits), 1)) > shares).sum(1), len(classes) - 1)
    label = drawn.astype(bool) if len(classes) == 2 else [classes[n] for n in drawn]
    return pl.DataFrame(
        {
            **{name: pl.Series(column) for name, column in columns.items()},
            "answer": label,
            "part": draw.choice(list(PARTS), len(logits), p=list(PARTS.values())),
        }
    )


def untrained(context):
    """How these projects are trained: not at all."""
    return context.build()


def _tensors(columns):
    return {name: torch.from_numpy(column) for name, column in columns.items()}
