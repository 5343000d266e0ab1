from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from torchyard.core.errors import BadData
from torchyard.features import Encoder, columns_from_frame
from torchyard.yard import featuring
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import SPLITS, Featured, OpenProject
from torchyard.yard.sources import module_source
from torchyard.yard.stages import Silent, Stages
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import numpy as np
import polars as pl
import torch
from torch import nn
import torchyard as ty

def rows():
    draw = np.random.default_rng(1)
    x = draw.normal(size=600).round(3)
    y = x + draw.normal(size=600) > 0
    return pl.DataFrame({
        "x": x, "kind": draw.choice(["a", "b", "c"], 600), "place": np.arange(600.0),
        "part": draw.choice(["train", "train", "validation", "test", "none"], 600),
        "told": np.where(y, "yes", "no"), "y": LABEL(y),
    }).with_columns(y=pl.when(pl.int_range(600) % 10 > 0).then("y"))

def LABEL(y):
    return y

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.tensor(2.0))
        self.power = 2
    def forward(self, x):
        return x * self.factor

project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        x=ty.number(), kind=ty.category(), place=ty.number(later=True),
        told=ty.category(later=True), part=ty.category(later=True),
    ),
    split=ty.split_by_column("part"), checks=ty.Checks(),
    features=ty.Features(x=ty.standardize("x"), kind=ty.lookup("kind")),
    model=print,
)
"""
NUMBERS = (
    ('ty.binary_classification("y")', 'ty.regression("y", standardized=STANDARDIZED)'),
    ("    return y\n", "    return 50 + 20 * y * np.arange(600)\n"),
)
SEVERAL = (
    ('ty.binary_classification("y")', 'ty.multilabel_classification("y", classes=["up", "a"])'),
    ("    return y\n", '    return np.where(y, "up|a", "|")\n'),
)
CUSTOM = ('x=ty.standardize("x")', 'x=ty.standardize("x"), own=ty.custom(Scaled(), "x")')
LEAKING = ("told=ty.category(later=True)", "told=ty.category()")


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.skipped: list[bool] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        self.skipped.append(skipped)


Run = Callable[..., tuple[Featured, Told]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the features stage of the project, some of its text replaced."""

    def run(*changes: tuple[str, str]) -> tuple[Featured, Told]:
        opened, told = open_project(tmp_path, *changes)
        featured = fit_features(opened, add_data(opened))
        return featured, told

    return run


def open_project(folder: Path, *changes: tuple[str, str]) -> tuple[OpenProject, Told]:
    text = PROJECT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "project.py").write_text(text)
    workspace, told = Workspace(folder), Told()
    return OpenProject(load_project(workspace), Stages(workspace.stages, told)), told


@pytest.mark.parametrize("standardized", [True, False])
def test_numbers_are_learnt_standardized_and_kept_in_their_unit(
    run: Run, standardized: bool
) -> None:
    task, label = NUMBERS
    featured, _ = run((task[0], task[1].replace("STANDARDIZED", str(standardized))), label)
    truth = featured.truth("train")
    assert truth.dtype == np.float64
    mean, deviation = (truth.mean(), truth.std()) if standardized else (0.0, 1.0)
    for part in featured.splits:
        truth = featured.truth(part.name)
        assert truth.tolist() == featured.rows(part.name)["y"].to_list()
        assert (part.labelled, part.classes) == (len(truth), ())
        learnt = featured.examples(part.name).truth()
        assert learnt.dtype == np.float32
        assert learnt.shape == (len(truth), 1)
        assert np.allclose(learnt[:, 0], (truth - mean) / deviation, rtol=1e-5)
    assert (abs(featured.examples("train").truth().mean()) < 1e-5) == standardized


def test_rows_of_several_classes_are_learnt_class_by_class(run: Run) -> None:
    featured, _ = run(*SEVERAL)
    for part in featured.splits:
        truth = featured.truth(part.name)
        assert truth.dtype == np.bool_
        assert truth.shape == (part.labelled, 2)
        both = featured.rows(part.name)["y"].str.contains("up").to_numpy()
        assert (truth == both[:, None]).all()
        assert part.classes == (both.sum(), both.sum())
        labels = featured.examples(part.name).read(0, 5).labels
        assert labels.tolist() == truth[:5].astype(float).tolist()


def test_what_a_label_means_decides_what_the_stage_makes(run: Run) -> None:
    task, label = NUMBERS
    first, _ = run((task[0], 'ty.regression("y")'), label)
    second, told = run((task[0], 'ty.regression("y", standardized=False)'), label)
    assert first.folder != second.folder
    other, told = run((task[0], 'ty.regression("y", coverage=0.5, unit="min")'), label)
    assert other.folder == first.folder
    assert told.skipped[-1]


def test_labelled_rows_of_each_part_are_kept_and_encoded(run: Run) -> None:
    featured, told = run()
    for part in featured.splits:
        rows = featured.rows(part.name)
        assert rows.height == part.labelled == sum(part.classes)
        assert part.rows > part.labelled
        assert rows["part"].unique().to_list() == [part.name]
        assert featured.truth(part.name).tolist() == rows["y"].to_list()
        encoded = Encoder(featured.graph_file).encode(
            columns_from_frame(featured.version.schema.request, rows)
        )
        for name, tensor in featured.tensors(part.name).items():
            assert np.array_equal(tensor, encoded[name])
    assert featured.truth("test").dtype == np.bool_
    assert any("left out: 60 rows without a label, " in note for note in told.notes)


def test_later_fields_stay_with_the_rows_and_are_never_encoded(run: Run) -> None:
    featured, _ = run()
    assert set(featured.graph.inputs) == {"x", "kind"}
    assert {"place", "told", "part"} <= set(featured.rows("test").columns)
    some = featured.rows("test", ["place"])
    assert some.columns == ["place"]
    places = featured.sample("test", 5, seed=1)
    assert_frame_equal(featured.rows_at("test", places, ["place"]), some[places])
    assert len(featured.sample("test", 10_000, seed=1)) == some.height


def test_only_labelled_training_rows_are_learnt_from(run: Run) -> None:
    featured, _ = run()
    spoilt, _ = run(
        ('"x": x,', '"x": np.where((np.arange(600) % 10 == 0), 1e6, x),'),
    )
    kept = featured.rows("train")["x"].to_numpy()
    assert featured.graph.fitted_rows == kept.size
    expected = (kept - kept.mean()) / kept.std()
    for stage in (featured, spoilt):
        numbers = stage.tensors("train")["x"].reshape(-1)
        assert numbers == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_leak_stops_the_stage_and_names_the_way_out(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadData) as refusal:
        run(LEAKING)
    text = str(refusal.value)
    assert "leaks between the parts: found told" in text
    assert "later=True" in text
    assert "ty.Checks(leaks='warn')" in text
    assert not list((tmp_path / ".torchyard" / "stages" / "features").iterdir())


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    opened, _ = open_project(tmp_path)
    version = add_data(opened)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(BadData, match=r"File too large.*Make room and run it again"):
            fit_features(opened, version)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((opened.workspace.stages / "features").iterdir()) == []
    assert fit_features(opened, version).rows("train").height > 0


def test_a_leak_that_is_let_pass_stays_among_the_findings(run: Run) -> None:
    featured, told = run(LEAKING, ("ty.Checks()", "ty.Checks(leaks='warn')"))
    leaks = [found for found in featured.dataset.findings if found.field == "told"]
    assert leaks
    assert {leak.severity for leak in leaks} == {"warn"}
    assert all(leak not in featured.version.findings for leak in leaks)
    assert any(
        note.startswith("warning: told ") and leaks[0].meaning in note for note in told.notes
    )
    assert featured.dataset.digest == featured.version.digest


def test_classes_become_numbers_in_the_order_of_the_task(run: Run) -> None:
    featured, _ = run(
        ("return y", "return np.where(y, 'owl', np.where(np.arange(600) % 2, 'cat', 'dog'))"),
        (
            'ty.binary_classification("y")',
            'ty.multiclass_classification("y", classes=["cat", "dog", "owl"])',
        ),
    )
    truth = featured.truth("train")
    assert truth.dtype == np.int64
    names = np.array(["cat", "dog", "owl"])
    assert names[truth].tolist() == featured.rows("train", ["y"])["y"].to_list()


def test_the_size_of_chunks_changes_no_byte(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def content(featured: Featured) -> dict[str, bytes]:
        files = [*featured.folder.glob("*/*.npy"), *featured.folder.glob("*.json")]
        return {str(path.relative_to(featured.folder)): path.read_bytes() for path in files}

    once, _ = run()
    whole = content(once)
    assert {f"{name}/kind.npy" for name in SPLITS} < set(whole)
    monkeypatch.setattr(featuring, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(featuring, "_ENCODED_BYTES", 40)
    once.folder.rename(once.folder.parent / "other")
    again, told = run()
    assert told.skipped[-1] is False
    assert content(again) == whole


def test_the_stage_runs_again_only_when_its_inputs_changed(run: Run) -> None:
    assert run()[1].skipped[-1] is False
    assert run()[1].skipped[-1] is True
    assert run(("model=print", 'model=print, description="new"'))[1].skipped[-1] is True
    for change in (
        ("ty.Checks()", "ty.Checks(leaks='warn')"),
        ('y"), data', 'y", classes=("bad", "good")), data'),
        ('ty.lookup("kind")', 'ty.lookup("kind", min_count=2)'),
        CUSTOM,
    ):
        assert run(change)[1].skipped[-1] is False


@pytest.mark.parametrize(
    "change",
    [
        ("torch.tensor(2.0)", "torch.tensor(3.0)"),
        ("self.power = 2", "self.power = 3"),
        ("return x * self.factor", "return x + self.factor"),
    ],
)
def test_a_module_among_the_features_counts_with_code_settings_and_weights(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    def source(*changes: tuple[str, str]) -> str:
        opened, _ = open_project(tmp_path, CUSTOM, *changes)
        return module_source(opened.loaded, opened.project.features.modules["own"])

    assert source() == source(("model=print", "model=len"))
    assert source() != source(change)


def test_a_tensor_called_label_does_not_take_the_place_of_the_labels(run: Run) -> None:
    featured, _ = run(('x=ty.standardize("x")', 'label=ty.standardize("x")'))
    truth = featured.truth("test")
    assert truth.dtype == np.bool_
    assert truth.tolist() == featured.rows("test")["y"].to_list()
    assert featured.tensors("test")["label"].shape == (truth.size, 1)
