"""Weak spots of stored rows: planted in a category, in a kind of text, in a kind of picture."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.yard.test_featuring import Told
from torchyard.core.record import to_json
from torchyard.evaluate import Sample, evaluate
from torchyard.records.conditions import told
from torchyard.records.evidence import Report
from torchyard.records.schema import Task
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.stages import Stages
from torchyard.yard.weak_spots import with_weak_spots
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import io

import numpy as np
import polars as pl
from PIL import Image

import torchyard as ty

ROWS = 1500


def picture(draw, bright):
    pixels = draw.integers(0, 90, (9, 12, 3)).astype(np.uint8) + np.uint8(150 * bright)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def rows():
    draw = np.random.default_rng(5)
    topics = [["parcel", "courier", "depot", "late"], ["shoes", "heel", "leather", "laces"]]
    topic, bright = draw.integers(0, 2, ROWS), draw.random(ROWS) < 0.2
    words = [list(draw.choice(topics[one], 3)) for one in topic]
    return pl.DataFrame({
        "note": [" ".join([*some, f"n{row}"]) for row, some in enumerate(words)],
        "photo": [picture(draw, one) for one in bright],
        "carrier": draw.choice(["AA", "HA", "UA"], ROWS),
        "sender": [f"Secret Person {one % 3}" for one in topic],
        "letter": [f"{'parcel' if one else 'shoes'} for Secret Person" for one in topic],
        "sex": draw.choice(["f", "m"], ROWS),
        "y": draw.random(ROWS) < 0.5,
        "part": ["train"] * 150 + ["validation"] * 150 + ["test"] * (ROWS - 300),
    })


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        note=ty.text(max_length=400), photo=ty.image(), carrier=ty.category(),
        sender=ty.category(personal=True, allow=["feature"]),
        letter=ty.text(personal=True, allow=["feature"]),
        sex=ty.category(["f", "m"], personal=True), part=ty.category(later=True),
    ),
    split=ty.split_by_column("part"), checks=ty.Checks(leaks="warn"),
    features=ty.Features(
        pixels=ty.pixels("photo", size=(4, 4), channels=1),
        words=ty.tokenize("note", length=6, vocabulary=40),
    ),
    model=print,
)
"""


TASK = Task(kind="binary_classification", label="y", classes=("no", "yes"))


@pytest.fixture(scope="module", name="featured")
def _featured(tmp_path_factory: pytest.TempPathFactory) -> Featured:
    folder = tmp_path_factory.mktemp("project")
    (folder / "project.py").write_text(PROJECT)
    workspace = Workspace(folder)
    opened = OpenProject(load_project(workspace), Stages(workspace.stages, Told()))
    return fit_features(opened, add_data(opened))


def report_on(featured: Featured, wrong: npt.NDArray[np.bool_]) -> Report:
    """The report on answers that are wrong where told, and else right but for one row in ten."""
    truth = featured.truth("test")
    luck = np.random.default_rng(0).random(truth.size)
    right = np.where(wrong, luck < 0.2, luck < 0.9)
    yes = np.where(right == truth, 0.8, 0.2)
    sample = Sample(task=TASK, truth=truth, outputs=np.stack([1 - yes, yes], axis=1))
    bare = evaluate(
        sample, model="torch-fp32", split="test", groups={}, slices={}, baselines={}, resamples=40
    )
    return with_weak_spots(bare, sample, featured, seed=3)


def brightness(featured: Featured) -> npt.NDArray[np.float64]:
    files = featured.rows("test", ["photo"])["photo"].to_list()
    return np.array([np.asarray(Image.open(io.BytesIO(file))).mean() for file in files])


def test_a_weak_category_is_found_and_told(featured: Featured) -> None:
    wrong = (featured.rows("test", ["carrier"])["carrier"] == "HA").to_numpy()
    report = report_on(featured, wrong)
    assert report.weaknesses is not None
    (found,) = report.weaknesses.found
    assert told(found, featured.version.schema) == "carrier = 'HA'"
    assert found.rows == wrong.sum()
    assert (report.weaknesses.metric, report.weaknesses.min_rows) == ("log_loss", 100)
    assert report.clusters == ()
    assert report == report_on(featured, wrong)


def test_a_weak_kind_of_text_is_found_by_its_words(featured: Featured) -> None:
    wrong = featured.rows("test", ["note"])["note"].str.contains("shoes|heel|leather").to_numpy()
    clusters = [one for one in report_on(featured, wrong).clusters if one.field == "note"]
    assert clusters
    for one in clusters:
        assert one.kind == "text"
        assert set(one.words) & {"shoes", "heel", "leather", "laces"}
        assert not one.pictures


def test_a_weak_kind_of_picture_is_shown(featured: Featured) -> None:
    clusters = report_on(featured, brightness(featured) > 120).clusters
    shown = [file for one in clusters if one.field == "photo" for file in one.pictures]
    assert 0 < len(shown) <= 6 * len(clusters)
    for file in shown:
        image = Image.open(io.BytesIO(base64.b64decode(file)))
        assert (image.size, image.format) == ((48, 48), "PNG")
        assert np.asarray(image).mean() > 120


def test_personal_values_are_not_told_unless_the_schema_lists_them(featured: Featured) -> None:
    rows = featured.rows("test", ["sender", "sex"])
    named = report_on(featured, (rows["sender"] == "Secret Person 1").to_numpy())
    text = json.dumps(to_json((named.weaknesses, named.clusters)))
    assert "Secret" not in text
    assert "sender" not in text
    assert "letter" not in text
    listed = report_on(featured, (rows["sex"] == "f").to_numpy()).weaknesses
    assert listed is not None
    schema = featured.version.schema
    assert "sex = 'f'" in [told(one, schema) for one in listed.found]
