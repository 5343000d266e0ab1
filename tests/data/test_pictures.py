"""Pictures from folders, from tables of paths and from Hugging Face come as the files' bytes."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.source import open_source

SCHEMA = ty.Schema(photo=ty.image(optional=True))


def png(shade: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (4, 4), shade).save(content, "PNG")
    return content.getvalue()


def write(folder: Path, *paths: str) -> dict[str, bytes]:
    contents = {}
    for shade, path in enumerate(paths):
        contents[path] = png(shade)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(contents[path])
    return contents


def read(value: object, folder: Path, schema: object = None, rows: int = 2) -> pl.DataFrame:
    source = open_source(value, folder=folder, schema=schema)  # type: ignore[arg-type]
    chunks = list(source.chunks(rows=rows))
    assert all(chunk.height <= rows for chunk in chunks)
    assert pl.concat(source.chunks()).equals(pl.concat(chunks))
    return pl.concat(chunks)


def refusal(value: object, folder: Path, schema: object = None) -> str:
    with pytest.raises(BadData) as refused:
        list(open_source(value, folder=folder, schema=schema).chunks())  # type: ignore[arg-type]
    return str(refused.value)


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    contents = write(tmp_path / "p", "dog/b.png", "cat/2.JPG", "cat/10.png", "cat/deep/x.webp")
    (tmp_path / "p" / "dog" / "notes.md").write_text("left out")
    (tmp_path / "p" / ".git").mkdir()
    (tmp_path / "p" / ".git" / "x.png").write_bytes(b"hidden")
    found = read("p", tmp_path)
    assert found.schema == {"image": pl.Binary, "label": pl.String, "path": pl.String}
    assert found["path"].to_list() == ["cat/10.png", "cat/2.JPG", "cat/deep/x.webp", "dog/b.png"]
    assert found["label"].to_list() == ["cat", "cat", "cat", "dog"]
    assert found["image"].to_list() == [contents[path] for path in found["path"]]


def test_folders_by_split_add_the_part(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "test/dog/d.png")
    (tmp_path / "README.txt").write_text("Not rows.")
    found = read(tmp_path, tmp_path)
    assert found.select("part", "label").rows() == [
        ("test", "dog"),
        ("train", "cat"),
        ("train", "dog"),
        ("validation", "cat"),
    ]


def test_pictures_beside_no_class_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", "x.png", "cat/y.png")
    assert "a, 'x.png': found a picture that lies in no class folder" in refusal("a", tmp_path)
    write(tmp_path / "b", "train/cat/x.png", "extra/y.png")
    text = refusal("b", tmp_path)
    assert "b: found the folders extra, train; expected only classes, or only train" in text
    write(tmp_path / "c", "train/cat/x.png", "test/y.png", "test/cat/z.png")
    assert "c, 'test/y.png'" in refusal("c", tmp_path)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_a_table_of_paths_gives_the_pictures(tmp_path: Path, form: str) -> None:
    contents = write(tmp_path / "set", "img/a.png", "img/b.png")
    table = pl.DataFrame({"photo": ["img/b.png", None, "img/a.png"], "y": [1, 2, 3]})
    writers = {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}
    getattr(table, writers[form])(tmp_path / "set" / f"table.{form}")
    for value in (f"set/table.{form}", "set"):
        found = read(value, tmp_path, SCHEMA)
        assert found["photo"].to_list() == [contents["img/b.png"], None, contents["img/a.png"]]
        assert found["y"].to_list() == [1, 2, 3]
    assert read("set", tmp_path)["photo"].dtype == pl.String


def test_paths_in_a_frame_start_at_the_project(tmp_path: Path) -> None:
    contents = write(tmp_path, "a.png")
    found = read(pl.DataFrame({"photo": ["a.png", ""]}), tmp_path, SCHEMA)
    assert found["photo"].to_list() == [contents["a.png"], None]


def test_bytes_with_a_path_are_the_bytes(tmp_path: Path) -> None:
    contents = write(tmp_path, "a.png", "b.png")
    values = [
        {"bytes": b"inside", "path": "elsewhere.png"},
        {"bytes": None, "path": "b.png"},
        None,
        {"bytes": None, "path": "a.png"},
    ]
    dtype = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    frame = pl.DataFrame({"photo": pl.Series(values, dtype=dtype)})
    found = read(frame, tmp_path, SCHEMA)
    assert found["photo"].to_list() == [b"inside", contents["b.png"], None, contents["a.png"]]
    inside = read(frame.head(1), tmp_path, SCHEMA)
    assert inside["photo"].to_list() == [b"inside"]
    assert read(inside, tmp_path, SCHEMA).equals(inside)


def test_chunks_are_cut_by_the_size_of_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are read a chunk at a time: what is read ahead is at most one more."""
    monkeypatch.setattr("torchyard.data.reading.pictures.CHUNK_BYTES", 1000)
    for number in range(40):
        folder = tmp_path / "p" / "class"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02}.png").write_bytes(bytes(300))
    reads = []
    original = Path.read_bytes

    def counted(self: Path) -> bytes:
        reads.append(self)
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    source = open_source("p", folder=tmp_path)
    given = 0
    for part in source.parts:  # type: ignore[attr-defined]
        for frame in part.frames(100):
            assert frame.height == 3 or given + frame.height == 40
            given += frame.height
            assert len(reads) - given <= 1
    assert given == 40


def test_a_missing_empty_or_denied_picture_is_named_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "rows.csv").write_text("photo,y\na.png,1\n,2\ngone.png,3\n")
    text = refusal("rows.csv", tmp_path, SCHEMA)
    assert f"rows.csv, column 'photo', row 3: found 'gone.png', which is no file in {tmp_path}" in (
        text
    )
    assert "Correct the path, or add the file." in text
    frame = pl.DataFrame({"photo": ["empty.png"]})
    assert "row 1: found 'empty.png', which is empty" in refusal(frame, tmp_path, SCHEMA)
    assert "which is no file" in refusal(pl.DataFrame({"photo": ["."]}), tmp_path, SCHEMA)
    assert "found 'a\\x00b'" in refusal(pl.DataFrame({"photo": ["a\0b"]}), tmp_path, SCHEMA)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    frame = pl.DataFrame({"photo": ["a.png"]})
    assert "'a.png', which may not be read" in refusal(frame, tmp_path, SCHEMA)


def test_a_damaged_picture_is_left_to_validation(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    found = read(pl.DataFrame({"photo": ["a.png"]}), tmp_path, SCHEMA)
    assert found["photo"].to_list() == [b"not a picture"]
