"""Fashion-MNIST: which of ten pieces of clothing is in the picture?

Fetch the pictures first: python fetch.py
"""

from fetch import CLASSES
from model import FashionNet

import torchyard as ty

project = ty.Project(
    name="fashion",
    description="Sorts photographs of a shop's stock; a person looks at what it is unsure of.",
    task=ty.multiclass_classification("label", classes=CLASSES),
    data="data",
    schema=ty.Schema(
        image=ty.image(),
        path=ty.id(unique=True, later=True),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(pixels=ty.pixels("image", size=(28, 28), channels=1)),
    model=FashionNet,
    training=ty.Training(max_epochs=4, batch_size=128, learning_rate=2e-3, patience=2, seed=7),
    gates=[
        ty.gate("accuracy", at_least=0.87),
        ty.gate("expected_calibration_error", at_most=0.03),
        ty.gate("accuracy", against="champion", drop_at_most=0.01),
    ],
    objective=ty.Objective(p99_ms=20, max_size_mb=10),
)
