"""Hugging Face ``datasets``: objects and the folders they save, read without decoding."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.source import open_source

ROWS: dict[str, list[Any]] = {"text": ["good", "bad", "fine"], "stars": [5, 1, 3]}


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library, kept off the network and out of the home folder."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


def read(value: object, folder: Path, **options: Any) -> pl.DataFrame:
    source = open_source(value, folder=folder, **options)
    first, second = pl.concat(source.chunks(rows=2)), pl.concat(source.chunks())
    assert first.equals(second)
    return first


def test_a_dataset_and_a_selection_of_it(datasets: Any, tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict(ROWS)
    assert read(data, tmp_path).to_dict(as_series=False) == ROWS
    assert read(lambda: data.select([2, 0]), tmp_path)["text"].to_list() == ["fine", "good"]


def test_a_dictionary_of_splits(datasets: Any, tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict(ROWS)
    splits = datasets.DatasetDict(
        {"train": data, "validation": data.select([0]), "test": data.select([1, 2])}
    )
    found = read(splits, tmp_path)
    assert found["part"].to_list() == ["train"] * 3 + ["validation"] + ["test"] * 2
    assert found["stars"].to_list() == [5, 1, 3, 5, 1, 3]


def test_a_stream(datasets: Any, tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for text, stars in zip(ROWS["text"], ROWS["stars"], strict=True):
            yield {"text": text, "stars": stars}

    stream = datasets.IterableDataset.from_generator(rows)
    assert read(stream, tmp_path).to_dict(as_series=False) == ROWS


def test_saved_folders(datasets: Any, tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict(ROWS)
    data.select([1, 0]).save_to_disk(tmp_path / "one", num_shards=2)
    datasets.DatasetDict({"test": data, "train": data}).save_to_disk(tmp_path / "two")
    assert read("one", tmp_path)["text"].to_list() == ["bad", "good"]
    both = read("two", tmp_path)
    assert both["part"].to_list() == ["test"] * 3 + ["train"] * 3
    assert both.drop("part").head(3).to_dict(as_series=False) == ROWS


def test_pictures_are_their_bytes(datasets: Any, tmp_path: Path) -> None:
    from PIL import Image

    content = io.BytesIO()
    Image.new("L", (4, 4), 7).save(content, "PNG")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows = {"image": [{"bytes": content.getvalue(), "path": None}] * 2, "label": [1, 0]}
    data = datasets.Dataset.from_dict(rows, features=features)
    data.save_to_disk(tmp_path / "saved")
    for value in (data, "saved"):
        found = read(value, tmp_path, schema=ty.Schema(image=ty.image()))
        assert found["image"].to_list() == [content.getvalue()] * 2
        assert found["label"].to_list() == [1, 0]


def test_a_damaged_saved_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "state.json").write_text("{")
    with pytest.raises(BadData, match=r"saved/state\.json: found .* as datasets\.save_to_disk"):
        open_source("saved", folder=tmp_path)
    listed = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": listed}))
    with pytest.raises(BadData, match=r"saved/data-00000-of-00001\.arrow: found .*No such file"):
        open_source("saved", folder=tmp_path)
