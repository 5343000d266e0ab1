"""A small project with a search: its trials take a fraction of a second."""

from __future__ import annotations

from pathlib import Path

from tests.support.killing import kill_at
from tests.support.tracked import migrated
from torchyard.yard.workspace import Workspace

PROJECT = '''
import os
import signal
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import nn

import torchyard as ty

HERE = Path(__file__).parent


def rows():
    draw = np.random.default_rng(1)
    x = draw.normal(size=400)
    part = draw.choice(["train", "train", "validation", "test"], 400)
    return pl.DataFrame({"x": x, "y": x + draw.normal(size=400) > 0, "part": part})


class Net(nn.Module):
    """A file says what goes wrong when a model is made."""

    def __init__(self, features, hidden=4, dummy=0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.breaks = (HERE / "breaks").read_text() if (HERE / "breaks").exists() else ""
        if self.breaks == "always" or (self.breaks == "large" and hidden > 6):
            raise ValueError(f"{hidden} are too many")
        if self.breaks == "memory" and hidden > 6:
            raise MemoryError
        if self.breaks == "stop":
            (HERE / "breaks").unlink()
            os.kill(os.getpid(), signal.SIGTERM)

    def forward(self, x):
        logits = self.layers(x).squeeze(1)
        return torch.log(logits - 1e9) if self.breaks == "nan" and self.training else logits


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(x=ty.number(ge=-9, le=9), part=ty.category(later=True)),
    split=ty.split_by_column("part"),
    features=ty.Features(x=ty.standardize("x")),
    model=Net,
    training=ty.Training(max_epochs=3, batch_size=50, seed=3, preflight=False),
    search=ty.Search(
        trials=7, learning_rate=ty.log_uniform(1e-4, 1e-1),
        model=dict(hidden=ty.whole(2, 8), dummy=ty.uniform(0, 1)),
    ),
)
'''


def search_project(folder: Path, text: str = PROJECT) -> Workspace:
    """The project in a folder, with a database of runs that is migrated already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.py").write_text(text)
    workspace = Workspace(folder)
    workspace.state.mkdir()
    workspace.tracking_database.write_bytes(migrated())
    return workspace


def tune_until(folder: Path, trials: int, module: str, name: str, count: int, after: bool) -> None:
    """Search, but killed before or after a function is called for the n-th time."""
    from torchyard.yard import Yard

    kill_at(module, name, count, after=after)
    Yard(folder).tune(trials=trials)
