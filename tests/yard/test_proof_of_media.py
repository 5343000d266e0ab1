"""Parity and golden requests of a model that reads texts and pictures: host steps on both paths."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.yard.test_featuring import Told
from torchyard.core.errors import Refused
from torchyard.core.record import Json
from torchyard.optimize.export import export_module, merge
from torchyard.records.calibration import Calibration
from torchyard.runtimes import open_model
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.proof import GOLDEN_ROWS, GOLDEN_TOLERANCE, check_parity, golden_requests
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.stages import Stages
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import io

import numpy as np
import polars as pl
from PIL import Image

import torchyard as ty

NOTES = ["torn box 👜", "fine box", "", "ﬁne bóx \\u202e", "a" * 300, "\\t box\\n\\n box ", None]


def picture(draw, kind):
    side = draw.integers(3, 20, 2)
    pixels = draw.integers(0, 255, (*side, 3)).astype(np.uint8)
    image = Image.fromarray(pixels).convert("P" if kind == "GIF" else draw.choice(["L", "RGB"]))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def rows():
    draw = np.random.default_rng(5)
    return pl.DataFrame({
        "note": [NOTES[n % 7] and f"{NOTES[n % 7]} {n % 11}" for n in range(210)],
        "photo": [None if n % 13 == 0 else picture(draw, ("PNG", "JPEG", "GIF")[n % 3])
                  for n in range(210)],
        "sender": [f"Secret Person {n}" for n in range(210)],
        "y": draw.random(210) < 0.5,
        "part": draw.choice(["train", "validation", "test"], 210),
    })


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        note=ty.text(max_length=400, optional=True), photo=ty.image(optional=True),
        sender=ty.text(personal=True, allow=["feature"]), part=ty.category(later=True),
    ),
    split=ty.split_by_column("part"), checks=ty.Checks(leaks="warn"),
    features=ty.Features(
        words=ty.tokenize("note", length=6, vocabulary=40),
        pixels=ty.pixels("photo", size=(5, 7), channels=3),
        sender=ty.hash_bucket("sender", buckets=8),
    ),
    model=print,
)
"""


class Net(nn.Module):
    def __init__(self, featured: Featured) -> None:
        super().__init__()
        cards = {tensor.name: tensor.cardinality or 0 for tensor in featured.graph.tensors}
        self.words = nn.Embedding(cards["words"], 3)
        self.sender = nn.Embedding(cards["sender"], 2)
        self.last = nn.Linear(3 + 2 + 5 * 7 * 3, 1)

    def forward(
        self, words: torch.Tensor, pixels: torch.Tensor, sender: torch.Tensor
    ) -> torch.Tensor:
        parts = [self.words(words).mean(dim=1), self.sender(sender).flatten(1), pixels.flatten(1)]
        logits: torch.Tensor = self.last(torch.cat(parts, dim=1))
        return logits


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpenProject, Featured]:
    folder = tmp_path_factory.mktemp("media")
    (folder / "project.py").write_text(PROJECT)
    workspace = Workspace(folder)
    opened = OpenProject(load_project(workspace), Stages(workspace.stages, Told()))
    return opened, fit_features(opened, add_data(opened))


@pytest.fixture(scope="module", name="served")
def _served(
    project: tuple[OpenProject, Featured], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The file of a model with weights as they come."""
    opened, featured = project
    folder = tmp_path_factory.mktemp("served")
    torch.manual_seed(0)
    sample = {
        name: torch.from_numpy(np.array(tensor[:2]))
        for name, tensor in featured.tensors("train").items()
    }
    export_module(Net(featured).eval(), sample, folder / "model.onnx")
    merge(
        featured.graph_file, folder / "model.onnx", task=opened.project.task,
        calibration=Calibration(method="temperature", temperature=1.5), path=folder / "whole.onnx",
    )  # fmt: skip
    return folder / "whole.onnx"


def test_tokens_and_pixels_have_equal_bits_in_training_and_in_serving(
    project: tuple[OpenProject, Featured],
) -> None:
    parity = check_parity(*project)
    assert (parity.differing_elements, parity.worst_difference) == (0, 0.0)
    assert parity.rows == project[1].truth("test").size > 40
    assert parity.elements == len(parity.orders) * parity.rows * (6 + 5 * 7 * 3 + 1)


@pytest.mark.parametrize(
    ("tensor", "place", "count"), [("words", (0, 0), 3), ("pixels", (1, 0, 0, 0), 3)]
)
def test_one_token_or_one_pixel_that_differs_is_refused(
    project: tuple[OpenProject, Featured], tensor: str, place: tuple[int, ...], count: int
) -> None:
    opened, featured = project
    stored = featured.folder / "test" / f"{tensor}.npy"
    before = stored.read_bytes()
    values = np.load(stored)
    values[place] = np.nextafter(values[place], np.float32(9)) if tensor == "pixels" else 39
    np.save(stored, values)
    try:
        with pytest.raises(Refused, match=rf"found {count} of \d+ feature values that differ"):
            check_parity(opened, fit_features(opened, featured.version))
    finally:
        stored.write_bytes(before)


def golden(project: tuple[OpenProject, Featured], served: Path) -> tuple[list[Json], np.ndarray]:
    requests, answers = golden_requests(project[0], open_model(served), project[1])
    return list(requests), np.array(answers)


def answered(
    project: tuple[OpenProject, Featured], served: Path, requests: list[Json]
) -> np.ndarray:
    decoder = RowDecoder(project[0].project.schema.request, max_rows=GOLDEN_ROWS)
    body = json.dumps({"rows": requests}).encode()
    return open_model(served).run(decoder.columns(decoder.decode(body).rows))


def test_golden_requests_carry_texts_and_pictures_and_are_answered_again(
    project: tuple[OpenProject, Featured], served: Path
) -> None:
    requests, answers = golden(project, served)
    assert answers.shape == (GOLDEN_ROWS, 2)
    assert len({tuple(row) for row in answers}) > GOLDEN_ROWS / 2
    assert any("👜" in row.get("note", "") for row in requests)
    assert any(row.get("note") is None for row in requests)
    photos = [base64.b64decode(row["photo"]) for row in requests if row.get("photo")]
    assert {Image.open(io.BytesIO(photo)).format for photo in photos} == {"PNG", "JPEG", "GIF"}
    again = answered(project, served, requests)
    assert np.abs(again - answers).max() == 0
    backwards = answered(project, served, requests[::-1])[::-1]
    assert np.abs(backwards - answers).max() < GOLDEN_TOLERANCE


def test_golden_requests_name_nobody_and_answers_belong_to_the_stand_ins(
    project: tuple[OpenProject, Featured], served: Path
) -> None:
    requests, answers = golden(project, served)
    assert "Secret" not in json.dumps(requests)
    assert "part" not in requests[0]
    assert golden(project, served)[0] == requests
    for name, value in (("note", "torn torn torn torn torn torn"), ("photo", None)):
        changed = [{**row, name: value} for row in requests]
        assert np.abs(answered(project, served, changed) - answers).max() > GOLDEN_TOLERANCE
