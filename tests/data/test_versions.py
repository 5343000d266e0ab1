from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData, BadRecord, BadUsage, NotFound
from torchyard.data.keeping.content import ContentDigest
from torchyard.data.source import Source, open_source
from torchyard.data.versions import Dataset
from torchyard.records.dataset import DatasetVersion
from torchyard.records.schema import Schema

SCHEMA = ty.Schema(x=ty.number(ge=0), name=ty.category(optional=True))
HALF = ty.Checks(quarantine_at_most=0.5)


def rows(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"x": values, "name": [f"n{value:g}" for value in values]})


def source(frame: object, folder: Path = Path()) -> Source:
    return open_source(frame, folder=folder)


def add(dataset: Dataset, *values: float, **options: Any) -> DatasetVersion:
    return dataset.add(source(rows(*values)), SCHEMA, **options)


def append(dataset: Dataset, *values: float, **options: Any) -> DatasetVersion:
    return dataset.append(source(rows(*values)), SCHEMA, **options)


def test_versions_are_named_by_content_and_can_be_read_again(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one = add(dataset, 1, 2, reason="first")
    two = add(dataset, 1, 2, 3)
    assert (one.number, two.number) == (1, 2)
    assert (one.operation, one.parent, one.reason, one.name) == ("replace", None, "first", "data")
    assert dataset.read(one).equals(rows(1, 2))
    assert dataset.read(two).equals(rows(1, 2, 3))
    assert dataset.version("latest") == two
    assert dataset.version("1") == one
    assert dataset.version(two.digest[7:15]) == two
    assert Dataset(tmp_path).versions() == (one, two)


def test_a_record_does_not_depend_on_how_rows_are_cut(tmp_path: Path) -> None:
    """Its profile neither: sums and sketches of other frames differ in their last digits."""
    noise = np.random.default_rng(0).lognormal(size=20_000)
    frame = pl.DataFrame({"x": noise, "name": [f"n{value:.4}" for value in noise]})

    class Cut:
        name = "cut"

        def __init__(self, *sizes: int) -> None:
            self.ends = [0, *np.cumsum(sizes).tolist(), frame.height]

        def chunks(self, *, rows: int = 0) -> Iterator[pl.DataFrame]:
            yield from (frame[start:end] for start, end in pairwise(self.ends))

    def kept(*sizes: int) -> DatasetVersion:
        dataset = Dataset(tmp_path / str(sizes), clock=lambda: datetime(2024, 1, 1, tzinfo=UTC))
        return dataset.add(Cut(*sizes), SCHEMA)

    assert kept() == kept(7, 1000, 1) == kept(19_999)


def test_old_content_is_the_old_version_and_becomes_the_latest(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one, two = add(dataset, 1, 2), add(dataset, 3)
    assert add(dataset, 1, 2) == one
    assert dataset.version() == one
    assert add(dataset, 3) == two
    assert dataset.version() == two
    assert add(dataset, 1, 2) == one
    three = add(dataset, 4)
    assert dataset.version() == three
    assert len(dataset.versions()) == 3


@pytest.mark.parametrize("name", ["3", "0", "latest?", "ffff0000", "ab"])
def test_an_unknown_version_is_refused(tmp_path: Path, name: str) -> None:
    dataset = Dataset(tmp_path)
    add(dataset, 1)
    with pytest.raises(NotFound, match=r"none of 1 versions by that name"):
        dataset.version(name)


def test_rows_set_aside_are_kept_beside_the_version(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    version = add(dataset, 1, -5, checks=HALF)
    assert (version.rows, version.quarantined) == (1, 1)
    aside = pl.read_parquet(dataset.quarantine_path(version))
    assert aside.rows() == [(-5.0, "n-5", "x: is below 0")]
    assert not dataset.quarantine_path(add(dataset, 2)).exists()


def test_data_that_sets_too_much_aside_is_refused(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    with pytest.raises(BadData, match=r"1 of 3 rows \(33\.3%\) set aside; expected at most 5\.0%"):
        add(dataset, 1, 2, -5)
    assert dataset.versions() == ()


def test_data_with_a_failing_finding_is_refused_with_all_of_them(tmp_path: Path) -> None:
    task = ty.binary_classification("late")
    frame = rows(1, 2).with_columns(late=pl.lit(True))
    checks = ty.Checks(fresh="at", fresh_within_days=1)
    schema = ty.Schema(x=ty.number(), at=ty.timestamp())
    frame = frame.drop("name").with_columns(at=pl.lit(datetime(2020, 1, 1)))
    with pytest.raises(BadData, match=r"late is always late; at is at most 2020-01-01"):
        Dataset(tmp_path).add(source(frame), schema, task=task, checks=checks)


def test_the_label_is_kept_beside_the_fields(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    frame = rows(1, 2).with_columns(kind=pl.Series([1, 3]), more=pl.lit(0))
    task = ty.multiclass_classification("kind", classes=["1", "2", "3"])
    with pytest.raises(BadData, match="kind is never 2"):
        dataset.add(source(frame), SCHEMA, task=task)
    whole = pl.concat([frame, frame.with_columns(kind=pl.lit(2, pl.Int64))])
    version = dataset.add(source(whole), SCHEMA, task=task)
    assert version.label == "kind"
    assert dataset.read(version)["kind"].to_list() == ["1", "3", "2", "2"]
    assert dataset.read(version).columns == ["x", "name", "kind"]


# digests


def digest(frame: pl.DataFrame, schema: Schema = SCHEMA) -> str:
    state = ContentDigest(schema)
    state.update(frame)
    return state.result()


def test_the_digest_depends_on_every_value_and_their_order() -> None:
    whole = rows(1, 2, 3)
    others = [
        whole,
        rows(1, 2, 4),
        rows(2, 1, 3),
        rows(1, 2),
        whole.with_columns(name=pl.lit(None, pl.String)),
        whole.with_columns(name=pl.Series([None, "n1", "n2n3"])),
        whole.with_columns(name=pl.Series(["n1", None, "n2n3"])),
        whole.with_columns(name=pl.Series(["n", "1n2", "n3"])),
        whole.rename({"name": "nom"}),
    ]
    assert len({digest(other) for other in others}) == len(others)
    assert digest(whole, ty.Schema(x=ty.number())) != digest(whole)


def test_one_zero_and_one_nan() -> None:
    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    one = pl.DataFrame({"x": [0.0, float("nan")]})
    other = pl.DataFrame({"x": pl.Series([-0.0, odd])})
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([1.5, None, -0.0, 2.0, None]),
        pl.Series([None, 1, 2, 3, None]),
        pl.Series([True, None, False, True, True]),
        pl.Series(["a", None, "é日本", "", "b"]),
        pl.Series([b"\x00", b"", None, b"\xff\xfe", b"x"]),
        pl.Series([datetime(2024, 1, day) for day in range(1, 6)]),
        pl.Series(np.arange(20, dtype=np.float32).reshape(5, 2, 2)),
    ],
    ids=lambda series: str(series.dtype),
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_chunks_do_not_change_the_digest(series: pl.Series, size: int) -> None:
    frame = series.alias("x").to_frame()
    state = ContentDigest(SCHEMA)
    for chunk in frame.iter_slices(size):
        state.update(chunk)
    assert state.result() == digest(frame)


SCALARS = ty.Schema(
    x=ty.number(optional=True), n=ty.integer(optional=True), on=ty.boolean(optional=True),
    name=ty.category(optional=True), note=ty.text(), key=ty.id(), code=ty.id(),
    t=ty.timestamp(optional=True), none=ty.number(optional=True),
)  # fmt: skip
VALUES = pl.DataFrame(
    {
        "x": [1.5, None, -0.0, 1 / 3, 5e-324],
        "n": [1, None, -3, 2**52, 0],
        "on": [True, False, None, True, False],
        "name": ["a,b", None, "\u00e9", "e\u0301", 'q"t"'],
        "note": [" lead", "NA", "1e5", "line\nbreak", "🛩\ttab"],
        "key": ["007", "08", "true", "2024-01-01", "null"],
        "code": [12, 7, 0, 3, 4],
        "t": [datetime(1969, 12, 31, 23, 59, 59, 999999), None, datetime(2024, 1, 1),
              datetime(2024, 2, 29, 12, 0, 1), datetime(9999, 12, 31)],
        "none": pl.Series([None] * 5, dtype=pl.Float64),
    }
)  # fmt: skip


def write_csv(path: Path, **options: Any) -> None:
    VALUES.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.f", **options)


def write_packed(path: Path) -> None:
    write_csv(path, check_extension=False)
    path.write_bytes(gzip.compress(path.read_bytes()))


def write_parts(path: Path) -> None:
    path.mkdir()
    for place in range(VALUES.height):
        VALUES[place : place + 1].write_parquet(path / f"{place}.parquet")


WRITERS: dict[str, Any] = {
    "rows.csv": write_csv,
    "bom.csv": partial(write_csv, include_bom=True, line_terminator="\r\n", quote_style="always"),
    "rows.csv.gz": write_packed,
    "rows.tsv": partial(write_csv, separator="\t"),
    # whole numbers with gaps are written as 1.0 by pandas
    "pandas.csv": lambda path: VALUES.to_pandas().to_csv(path, index=False),
    "rows.jsonl": lambda path: VALUES.with_columns(
        pl.col("t").dt.to_string("iso:strict")
    ).write_ndjson(path),
    "rows.parquet": VALUES.write_parquet,
    "rows.arrow": VALUES.write_ipc,
    "parts": write_parts,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_are_the_same_version_from_any_file(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    dataset = Dataset(tmp_path / "state")
    known = dataset.add(source(VALUES), SCALARS)
    assert known.rows == VALUES.height
    assert dataset.add(open_source(name, folder=tmp_path, schema=SCALARS), SCALARS) == known
    assert dataset.add(source(VALUES.to_pandas()), SCALARS) == known


def test_every_kind_of_field_comes_back_as_it_was(tmp_path: Path) -> None:
    schema = ty.Schema(
        number=ty.number(optional=True), integer=ty.integer(), boolean=ty.boolean(),
        category=ty.category(), when=ty.timestamp(), text=ty.text(), key=ty.id(),
        grid=ty.tensor((2, 3)), codes=ty.tensor((2,), dtype="int64"),
    )  # fmt: skip
    frame = pl.DataFrame(
        {
            "number": [1.5, None], "integer": [1, 2], "boolean": [True, False],
            "category": ["a", "b"], "when": [datetime(2024, 1, 1, microsecond=7)] * 2,
            "text": ["one", "日本"], "key": ["k1", "k2"],
            "grid": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
            "codes": np.arange(4).reshape(2, 2),
        }
    )  # fmt: skip
    dataset = Dataset(tmp_path)
    version = dataset.add(source(frame), schema)
    assert dataset.read(version).equals(frame)
    assert dataset.read(version).schema == frame.schema
    assert pl.concat(dataset.chunks(version, rows=1)).equals(frame)


# append, delete, tags


class Counted:
    """A source that comes in the chunks it was given."""

    name = "counted"

    def __init__(self, *chunks: pl.DataFrame) -> None:
        self._chunks = chunks

    def chunks(self, *, rows: int = 0) -> Iterator[pl.DataFrame]:
        yield from self._chunks


def test_rows_appended_make_the_version_that_all_of_them_make(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "a")
    one = append(dataset, 1, 2)
    two = append(dataset, 3, 4, reason="more")
    assert (one.operation, two.operation, two.parent) == ("replace", "append", 1)
    assert dataset.read(two).equals(rows(1, 2, 3, 4))
    assert dataset.read(one).equals(rows(1, 2))
    assert dataset.lineage(two) == (two, one)
    whole = Dataset(tmp_path / "b").add(Counted(rows(1), rows(2, 3, 4)), SCHEMA)
    assert (whole.digest, whole.profile) == (two.digest, two.profile)
    assert add(dataset, 1, 2, 3, 4) == two


def test_rows_appended_must_be_unique_among_all(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    schema = ty.Schema(x=ty.number(), name=ty.id(unique=True))
    dataset.add(source(rows(1, 2)), schema)
    with pytest.raises(BadData, match=r"name repeats an earlier row in 1 rows"):
        dataset.append(source(rows(2, 3)), schema)
    two = dataset.append(source(rows(2, 3)), schema, checks=HALF)
    assert (two.rows, two.quarantined) == (3, 1)


def test_rows_under_another_schema_cannot_be_appended(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    add(dataset, 1)
    with pytest.raises(BadData, match="a schema or label that has changed since"):
        dataset.append(source(rows(1)), ty.Schema(x=ty.number()))


def test_rows_deleted_are_gone_from_the_new_version_alone(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one = add(dataset, 1, 2, 3, 4)
    two = dataset.delete("x > 2 AND name <> 'n4'", reason="asked to")
    assert (two.operation, two.parent, two.reason) == ("delete", 1, "asked to")
    assert two.source == "version 1 without 1 rows where x > 2 AND name <> 'n4'"
    assert dataset.read(two).equals(rows(1, 2, 4))
    assert dataset.read(one).equals(rows(1, 2, 3, 4))
    assert dataset.delete("x in (4)", reason="more").rows == 2
    assert dataset.delete("x = 2", reason="more").digest == add(Dataset(tmp_path / "b"), 1).digest


@pytest.mark.parametrize(
    ("where", "reason", "error", "said"),
    [
        ("x > 9", "r", BadData, "holds for no row"),
        ("x > 0", "r", BadData, "holds for all 3 rows"),
        ("x >", "r", BadUsage, r"--where 'x >': found SQLInterfaceError"),
        ("y > 1", "r", BadUsage, r"ColumnNotFoundError.*over x, name"),
        ("x + 1", "r", BadUsage, "found a Series of Float64"),
        ("x > avg(x)", "r", BadUsage, "for it alone"),
        ("count(*) > 1", "r", BadUsage, "found 1 answers for 3 rows"),
        ("x > 2", " ", BadUsage, "found no reason"),
    ],
)
def test_a_delete_that_cannot_be_meant_is_refused(
    tmp_path: Path, where: str, reason: str, error: type[Exception], said: str
) -> None:
    dataset = Dataset(tmp_path)
    one = add(dataset, 1, 2, 3)
    with pytest.raises(error, match=said):
        dataset.delete(where, reason=reason)
    assert dataset.versions() == (one,)


def test_a_delete_must_leave_labels_to_learn_from(tmp_path: Path) -> None:
    dataset, task = Dataset(tmp_path), ty.binary_classification("late")
    frame = rows(1, 2, 3).with_columns(late=pl.Series([True, False, True]))
    dataset.add(source(frame), SCHEMA, task=task)
    with pytest.raises(BadData, match="late is always late"):
        dataset.delete("x = 2", reason="r", task=task)
    assert dataset.delete("x = 3", reason="r", task=task).label == "late"


def test_a_tag_stays_unless_it_is_told_to_move(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    one, two = add(dataset, 1), add(dataset, 2)
    dataset.tag(one, "paper")
    dataset.tag(one, "paper")
    assert dataset.version("paper") == one
    with pytest.raises(BadUsage, match=r"tag 'paper': found it is on version 1 already.*--move"):
        dataset.tag(two, "paper")
    dataset.tag(two, "paper", move=True)
    assert dataset.version("paper") == two
    assert dataset.tags() == {"paper": 2}
    assert dataset.version() == two


@pytest.mark.parametrize("name", ["latest", "3", "Paper", "a@b", "", "a b"])
def test_a_name_that_means_something_else_is_no_tag(tmp_path: Path, name: str) -> None:
    dataset = Dataset(tmp_path)
    with pytest.raises(BadUsage, match="a name that cannot be a tag"):
        dataset.tag(add(dataset, 1), name)


def test_datasets_of_other_names_lie_apart(tmp_path: Path) -> None:
    one, other = Dataset(tmp_path), Dataset(tmp_path, "holdout")
    add(one, 1)
    version = add(other, 2)
    assert (version.name, version.number) == ("holdout", 1)
    assert len(one.versions()) == len(other.versions()) == 1


def test_chunks_are_bounded_and_take_columns(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    version = add(dataset, *range(10))
    chunks = list(dataset.chunks(version, rows=4, columns=["name"]))
    assert max(chunk.height for chunk in chunks) <= 4
    assert pl.concat(chunks).equals(rows(*range(10)).select("name"))


def test_the_time_of_a_version_is_the_clocks(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path, clock=lambda: datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC))
    assert add(dataset, 1).created == "2024-05-06T07:08:09+00:00"


# what was changed by hand


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"rows": 2,\n  "quar', '"rows": 3,\n  "quar', "2 rows in the table, 3 in the record"),
        ('"number": 1', '"number": 2', "found version 2 of dataset 'data'; expected version 1"),
        ('"operation": "replace"', '"operation": "steal"', "found 'steal'"),
        ('"table_version": 1', '"table_version": 7', "expected 2 rows in table version 7"),
        ("{", "", "expected a DatasetVersion record as JSON"),
    ],
)
def test_an_edited_record_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    dataset = Dataset(tmp_path)
    add(dataset, 1, 2)
    path = tmp_path / "data" / "versions" / "000001.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadRecord, match=said):
        dataset.read(dataset.version())
