from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData, NotFound
from torchyard.data.diff import diff
from torchyard.data.read import read_source
from torchyard.data.versions import Dataset, content_digest

SCHEMA = ty.Schema(x=ty.number(ge=0), name=ty.category(optional=True))


def rows(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"x": values, "name": [f"n{value:g}" for value in values]})


def test_versions_are_named_by_content_and_can_be_read_again(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one = dataset.add(rows(1, 2), SCHEMA, label=None, reason="first")
    two = dataset.add(rows(1, 2, 3), SCHEMA, label=None)
    assert (one.number, two.number) == (1, 2)
    assert dataset.add(rows(1, 2), SCHEMA, label=None) == one
    assert dataset.read(one).equals(rows(1, 2))
    assert dataset.read(two).equals(rows(1, 2, 3))
    assert dataset.version("latest") == two
    assert dataset.version("1") == one
    assert dataset.version(two.digest[7:15]) == two
    assert one.reason == "first"


@pytest.mark.parametrize("name", ["3", "0", "latest?", "ffff0000", "ab"])
def test_an_unknown_version_is_refused(tmp_path: Path, name: str) -> None:
    dataset = Dataset(tmp_path)
    dataset.add(rows(1), SCHEMA, label=None)
    with pytest.raises(NotFound, match=r"0 versions of 1 by that name"):
        dataset.version(name)


def test_the_digest_does_not_depend_on_chunks_but_on_every_value() -> None:
    whole = rows(1, 2, 3)
    parts = pl.concat([rows(1), rows(2, 3)], rechunk=False)
    assert content_digest(whole, SCHEMA) == content_digest(parts, SCHEMA)
    others = [
        rows(1, 2, 4),
        rows(2, 1, 3),
        whole.with_columns(name=pl.lit(None, pl.String)),
        whole.with_columns(name=pl.Series(["n", "1n2", "n3"])),
        whole.rename({"name": "nom"}),
    ]
    digests = {content_digest(other, SCHEMA) for other in [whole, *others]}
    assert len(digests) == 6


def test_rows_set_aside_are_kept_beside_the_version(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    version = dataset.add(rows(1, -5), SCHEMA, label=None)
    assert (version.rows, version.quarantined) == (1, 1)
    aside = pl.read_parquet(dataset.quarantine_path(version))
    assert aside.rows() == [(-5.0, "n-5", "x: is below 0")]


def test_an_import_that_is_killed_leaves_the_last_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    one = dataset.add(rows(1), SCHEMA, label=None)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torchyard.data.versions.write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            dataset.add(rows(1, 2), SCHEMA, label=None)
    assert dataset.versions() == (one,)
    assert dataset.read(one).equals(rows(1))
    assert dataset.add(rows(1, 2), SCHEMA, label=None).number == 2


def test_two_writers_at_once_both_end_whole(tmp_path: Path) -> None:
    def add(value: int) -> int:
        return Dataset(tmp_path).add(rows(value), SCHEMA, label=None).number

    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(pool.map(add, range(6)))
    assert numbers == [1, 2, 3, 4, 5, 6]
    dataset = Dataset(tmp_path)
    assert sorted(dataset.read(version)["x"][0] for version in dataset.versions()) == [*range(6)]


def test_a_difference_counts_rows_and_ranks_fields(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one = dataset.add(rows(*range(100)), SCHEMA, label=None)
    two = dataset.add(rows(*range(50, 150)), SCHEMA, label=None)
    found = diff(one, dataset.read(one), two, dataset.read(two))
    assert (found.rows_added, found.rows_removed) == (50, 50)
    assert [change.field for change in found.changes] == ["x", "name"]
    assert found.changes[0].distance == pytest.approx(0.5, abs=0.06)
    same = diff(one, dataset.read(one), one, dataset.read(one))
    assert (same.rows_added, same.rows_removed, same.changes) == (0, 0, ())


def test_declaring_another_field_shows_in_the_difference(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one = dataset.add(rows(1, 2), SCHEMA, label=None)
    wider = ty.Schema(x=ty.number(), y=ty.number(optional=True))
    two = dataset.add(rows(1, 2).with_columns(y=pl.lit(1.0)), wider, label=None)
    found = diff(one, dataset.read(one), two, dataset.read(two))
    assert (found.fields_added, found.fields_removed) == (("y",), ("name",))
    assert found.fields_redeclared == ("x",)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "arrow"])
def test_files_of_every_format_give_the_same_rows(tmp_path: Path, suffix: str) -> None:
    frame = rows(1.5, 2.5)
    path = tmp_path / f"rows.{suffix}"
    writer = {"jsonl": "write_ndjson", "arrow": "write_ipc"}.get(suffix, f"write_{suffix}")
    getattr(frame, writer)(path)
    assert read_source(f"rows.{suffix}", folder=tmp_path).equals(frame)
    assert read_source(f"file://{path}", folder=Path("/")).equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.xlsx", b"x", "a file ending in '.xlsx'"),
        ("rows.csv", b"", "an empty file"),
        ("rows.parquet", b"PAR1 cut", "a whole, well-formed parquet file"),
        ("rows.jsonl", b'{"x": 1}\n{"x":', "a whole, well-formed jsonl file"),
        ("missing.csv", None, "relative ones start at"),
    ],
)
def test_a_bad_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=said) as refused:
        read_source(name, folder=tmp_path)
    assert refused.value.where == name


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows(*range(1000)).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadData, match="a whole, well-formed parquet file"):
        read_source("rows.parquet", folder=tmp_path)


def test_a_function_must_return_a_table(tmp_path: Path) -> None:
    def load() -> int:
        return 3

    with pytest.raises(BadData, match=r"data function 'load': found a int"):
        read_source(load, folder=tmp_path)
