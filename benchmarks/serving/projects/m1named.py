"""m1named: ten named numbers and five texts a row; scaling and look-ups stand in the graph."""

import numpy as np
import polars as pl
import torch
from seeded import PARTS
from torch import nn

import torchyard as ty

NUMBERS = ("age", "income", "balance", "tenure", "visits", "spend", "returns", "rating", "delay",
           "discount")  # fmt: skip
TEXTS = {
    "region": ("north", "south", "east", "west"),
    "plan": ("free", "basic", "plus", "business"),
    "device": ("phone", "tablet", "laptop", "desktop", "television"),
    "channel": ("search", "letter", "friend", "shop", "partner"),
    "city": tuple(f"city {n}" for n in range(40)),
}


def rows(count, seed):
    """Numbers around 100 with two digits, texts at random."""
    draw = np.random.default_rng(seed)
    numbers = {name: draw.normal(100, 25, count).round(2) for name in NUMBERS}
    return numbers | {name: draw.choice(values, count) for name, values in TEXTS.items()}


def data():
    """Whose odds depend on three numbers and two texts."""
    columns = rows(4_000, 2)
    age, spend, delay = (columns[name] / 25 - 4 for name in ("age", "spend", "delay"))
    logits = 1.2 * age - spend * delay + 1.5 * (columns["plan"] == "free")
    logits -= 2.0 * (columns["region"] == "north")
    draw = np.random.default_rng(3)
    return pl.DataFrame(
        {
            **columns,
            "answer": draw.random(len(logits)) < 1 / (1 + np.exp(-logits)),
            "part": draw.choice(list(PARTS), len(logits), p=list(PARTS.values())),
        }
    )


class Table(nn.Module):
    """One number for each text, beside the scaled numbers: 50-256-256-1."""

    def __init__(self, features):
        super().__init__()
        self.coded = nn.ModuleDict(
            {name: nn.Embedding(features[name].cardinality, 8) for name in TEXTS}
        )
        width = features["numbers"].width + 8 * len(TEXTS)
        self.layers = nn.Sequential(
            nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)
        )

    def forward(self, numbers, region, plan, device, channel, city):
        """One logit a row."""
        codes = dict(region=region, plan=plan, device=device, channel=channel, city=city)
        parts = [self.coded[name](codes[name]) for name in TEXTS]
        return self.layers(torch.cat([numbers, *parts], dim=1)).squeeze(1)


project = ty.Project(
    name="m1named",
    task=ty.binary_classification("answer", classes=("no", "yes")),
    data=data,
    schema=ty.Schema(
        **{name: ty.number(ge=-1000, le=1000) for name in NUMBERS},
        **{name: ty.category(values) for name, values in TEXTS.items()},
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(
        numbers=ty.standardize(*NUMBERS), **{name: ty.lookup(name) for name in TEXTS}
    ),
    model=Table,
    training=ty.Training(max_epochs=4, batch_size=128, seed=4),
)
