"""m2: a ResNet-18 of a quarter of the usual width on pictures of 3x32x32. 70 MFLOP a row."""

import numpy as np
import torch
from seeded import labelled, spread_out, untrained
from torch import nn
from torch.nn import functional

import torchyard as ty

CLASSES = tuple(f"class {n}" for n in range(10))


def rows(count, seed):
    """Noise over shapes of eight by eight, so that pictures differ at large and at small."""
    draw = np.random.default_rng(seed)
    shapes = draw.normal(size=(count, 3, 4, 4)).repeat(8, axis=2).repeat(8, axis=3)
    noise = draw.normal(size=(count, 3, 32, 32))
    return {"x": (shapes + 0.3 * noise).round(4).astype(np.float32)}


class Block(nn.Module):
    """Two convolutions beside a way around them (He et al., 2016)."""

    def __init__(self, inner, outer, stride):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer),
        )  # fmt: skip
        self.around = nn.Sequential()
        if stride != 1:
            self.around = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x):
        """Pictures of the outer width."""
        return functional.relu(self.layers(x) + self.around(x))


class Net(nn.Module):
    """Widths 16 to 128, two blocks each."""

    def __init__(self, features=None):
        super().__init__()
        torch.manual_seed(2)
        stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks, inner = [], 16
        for outer, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
            blocks += [Block(inner, outer, stride), Block(outer, outer, 1)]
            inner = outer
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.layers = nn.Sequential(*stem, *blocks, *pool, nn.Linear(128, len(CLASSES)))
        spread_out(self, self.layers[-1], rows(64, 1))

    def forward(self, x):
        """Ten logits a row."""
        return self.layers(x)


project = ty.Project(
    name="m2",
    task=ty.multiclass_classification("answer", classes=CLASSES),
    data=lambda: labelled(Net(), rows(1_600, 2), CLASSES, seed=3),
    schema=ty.Schema(
        x=ty.tensor((3, 32, 32)), part=ty.category(["train", "validation", "test"], later=True)
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(x=ty.passthrough("x")),
    model=Net,
    fit=untrained,
    training=ty.Training(preflight=False),
)
