"""Who trains a project's module, and what is missing where Lightning is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from torch import nn

from tests.project.test_refusals import declare
from torchyard.cli.refusals import as_refusal
from torchyard.core.errors import NotReady
from torchyard.yard.ways import way_of
from torchyard.yard.workspace import Workspace, load_project


def fit(context: Any) -> Any:
    return context.build()


@pytest.mark.parametrize(
    ("changes", "module", "way"),
    [
        ({}, nn.Linear(1, 1), "loop"),
        ({}, pl.LightningModule(), "lightning"),
        ({"fit": fit}, pl.LightningModule(), "fit"),
        ({"weights": "w.pt"}, pl.LightningModule(), "weights"),
    ],
)
def test_the_way_is_what_the_project_says(changes: Any, module: nn.Module, way: str) -> None:
    assert way_of(declare(**changes), module) == way


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
def test_without_lightning_its_extra_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "project.py").write_text(f"import torch\nimport {name}\n")
    with pytest.raises(NotReady, match=rf"project.py line 2: found no library '{name}'") as refused:
        load_project(Workspace(tmp_path))
    assert refused.value.remedy == "Install it with: pip install 'torchyard[lightning]'"


def test_without_lightning_a_lazy_import_is_told_too() -> None:
    refusal = as_refusal(ModuleNotFoundError("no", name="lightning.pytorch"))
    assert isinstance(refusal, NotReady)
    assert "pip install 'torchyard[lightning]'" in refusal.remedy
