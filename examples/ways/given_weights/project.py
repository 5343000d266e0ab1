"""Which digit? Weights that were trained elsewhere. Write them first: python elsewhere.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from digits import CLASSES, digits
from model import DigitNet

import torchyard as ty

project = ty.Project(
    name="digits-given",
    task=ty.multiclass_classification("digit", classes=CLASSES),
    data=digits,
    schema=ty.Schema(
        pixels=ty.tensor((8, 8), ge=0, le=16),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(pixels=ty.passthrough("pixels")),
    model=DigitNet,
    weights="weights.pt",
    gates=[ty.gate("accuracy", at_least=0.80)],
)
