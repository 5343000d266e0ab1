"""m1: a table's network, 32-256-256-2, on 32 numbers in one tensor. 0.15 MFLOP a row."""

import numpy as np
import torch
from seeded import labelled, spread_out, untrained
from torch import nn

import torchyard as ty


def rows(count, seed):
    """Normal numbers with four digits."""
    draw = np.random.default_rng(seed)
    return {"x": draw.normal(size=(count, 32)).round(4).astype(np.float32)}


class Table(nn.Module):
    """The difference of the two last numbers is the logit."""

    def __init__(self, features=None):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(
            nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)
        )

        spread_out(self.layers, self.layers[-1], {"input": rows(512, 1)["x"]})

    def forward(self, x):
        """One logit a row."""
        both = self.layers(x)
        return both[:, 1] - both[:, 0]


project = ty.Project(
    name="m1",
    task=ty.binary_classification("answer", classes=("no", "yes")),
    data=lambda: labelled(Table(), rows(2_000, 2), ("no", "yes"), seed=3),
    schema=ty.Schema(
        x=ty.tensor((32,)), part=ty.category(["train", "validation", "test"], later=True)
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(x=ty.passthrough("x")),
    model=Table,
    fit=untrained,
    training=ty.Training(preflight=False),
)
