"""Everything that rows may come from gives the same rows, in bounded chunks, every time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.data.labels import label_field
from torchyard.data.reading.chunks import regroup, row_sizes
from torchyard.data.reading.parts import Part
from torchyard.data.source import Source, open_source
from torchyard.records.schema import Schema, Task

ROWS = pl.DataFrame(
    {
        "x": [1.5, None, 3.0, -2.25, 8.0],
        "n": [1, 2, None, 4, 5],
        "yes": [True, False, None, True, True],
        "name": ["a", 'é, "q"\nz', None, "0x", "ß"],
    }
)


def whole(source: Source, rows: int = 2) -> pl.DataFrame:
    """All rows, having checked that chunks are alike and can be read twice."""
    chunks = list(source.chunks(rows=rows))
    assert all(0 < chunk.height <= rows for chunk in chunks)
    assert len({tuple(chunk.schema.items()) for chunk in chunks}) == 1
    again = list(source.chunks(rows=rows))
    assert len(again) == len(chunks)
    assert all(a.equals(b) for a, b in zip(chunks, again, strict=True))
    return pl.concat(chunks)


def write_stream(frame: pl.DataFrame, path: Path) -> None:
    with pa.ipc.new_stream(str(path), frame.to_arrow().schema) as writer:
        writer.write_table(frame.to_arrow())


def write_gzip(frame: pl.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "rows.csv": lambda frame, path: frame.write_csv(path),
    "rows.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "rows.CSV": lambda frame, path: frame.write_csv(path, include_bom=True, line_terminator="\r\n"),
    "rows.csv.gz": write_gzip,
    "rows.parquet": lambda frame, path: frame.write_parquet(path, row_group_size=2),
    "rows.jsonl": lambda frame, path: frame.write_ndjson(path),
    "rows.ndjson.gz": lambda frame, path: path.write_bytes(
        gzip.compress(frame.write_ndjson().encode())
    ),
    "rows.arrow": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "rows.feather": lambda frame, path: frame.write_ipc(path),
    "stream.arrow": write_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_every_format_give_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](ROWS, path)
    source = open_source(name, folder=tmp_path)
    assert source.name == name
    assert whole(source).equals(ROWS)
    assert whole(source, rows=1).equals(ROWS)
    assert whole(open_source(f"file://{path}", folder=Path("/"))).equals(ROWS)
    assert whole(open_source(path, folder=Path("/"))).equals(ROWS)


def of_arrow() -> pa.RecordBatchReader:
    return ROWS.to_arrow().to_reader(max_chunksize=2)


def of_frames() -> Iterator[object]:
    yield ROWS.head(2)
    yield ROWS.slice(2, 2).to_arrow()
    yield ROWS.tail(1).to_pandas()


FRAMES: dict[str, Any] = {
    "polars": ROWS,
    "lazy": ROWS.lazy().filter(pl.col("name").is_null() | pl.col("name").is_not_null()),
    "arrow": ROWS.to_arrow(),
    "reader": of_arrow,
    "frames": of_frames,
    "list": [ROWS.head(2), ROWS.tail(3)],
    "function": lambda: ROWS,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind_give_the_same_rows(tmp_path: Path, kind: str) -> None:
    assert whole(open_source(FRAMES[kind], folder=tmp_path)).equals(ROWS)


def test_pandas_frames_keep_their_columns() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3], "c": ["b", "a", "b"]}).to_pandas()
    frame["c"] = frame["c"].astype("category")
    read = whole(open_source(frame, folder=Path()))
    assert read.rows() == [(1, "b"), (2, "a"), (3, "b")]
    assert read.schema == {"x": pl.Int64, "c": pl.String}


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    """As pandas writes its index."""
    pl.DataFrame({"x": [5, 6]}).to_pandas().to_csv(tmp_path / "rows.csv")
    read = whole(open_source("rows.csv", folder=tmp_path))
    assert read.rows(named=True) == [{"column_1": 0, "x": 5}, {"column_1": 1, "x": 6}]


def test_names_that_polars_reads_as_patterns_are_names() -> None:
    frame = pl.DataFrame({"*": ["a"], "^x.*$": ["b"], "x": ["c"]})
    assert whole(open_source(frame, folder=Path())).equals(frame)


def test_a_function_is_called_once_and_may_return_a_path(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    calls = []

    def load() -> Path:
        calls.append(1)
        return tmp_path / "rows.parquet"

    source = open_source(load, folder=tmp_path)
    assert source.name == "function load"
    assert whole(source).equals(ROWS)
    assert len(calls) == 1


def test_a_lazy_query_that_changes_is_run_once() -> None:
    shuffled = pl.LazyFrame({"x": range(1000)}).select(pl.col("x").shuffle())
    assert sorted(whole(open_source(shuffled, folder=Path()), rows=100)["x"]) == [*range(1000)]


def test_an_iterator_may_widen_its_types() -> None:
    def load() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"x": [1]})
        yield pl.DataFrame({"x": [2.5]})
        yield pl.DataFrame({"x": [None]})

    read = whole(open_source(load, folder=Path()))
    assert read["x"].to_list() == [1.0, 2.5, None]


@pytest.mark.parametrize("value", ["parts", "parts/", "parts/*.csv", "part?/rows-[ab].csv"])
def test_several_files_are_read_in_the_order_of_their_names(tmp_path: Path, value: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "rows-b.csv").write_text("x,y\n2.5,b\n")
    (folder / "rows-a.csv").write_text("x,y\n1,a\n")
    (folder / "_SUCCESS").write_text("")
    (folder / "README.txt").write_text("Not rows.")
    read = whole(open_source(value, folder=tmp_path))
    assert read.rows() == [(1.0, "a"), (2.5, "b")]


def test_files_below_are_found_by_a_pattern(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / str(year)).mkdir()
        pl.DataFrame({"year": [year]}).write_parquet(tmp_path / str(year) / "rows.parquet")
    read = whole(open_source("**/*.parquet", folder=tmp_path))
    assert read["year"].to_list() == [2023, 2024]


def test_columns_may_stand_in_another_order_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": 1, "y": "a"}\n')
    (tmp_path / "b.jsonl").write_text('{"y": "b", "x": 2}\n')
    assert whole(open_source("*.jsonl", folder=tmp_path)).rows() == [(1, "a"), (2, "b")]


def test_a_text_per_line(tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_bytes('\ufeffgood\r\n\r\nbäd, "very"\nend'.encode())
    read = whole(open_source("reviews.txt", folder=tmp_path))
    assert read.to_dict(as_series=False) == {"text": ["good", "", 'bäd, "very"', "end"]}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "", "-3"], [1, None, -3]),
        (["1", "2.5", " 4"], [1.0, 2.5, 4.0]),
        (["1e3", "NaN", "inf"], [1000.0, float("nan"), float("inf")]),
        (["true", "False", "TRUE"], [True, False, True]),
        (["2024-02-29", "", "1999-12-31"], [date(2024, 2, 29), None, date(1999, 12, 31)]),
        (
            ["2024-02-29 10:00", "2024-03-01T10:00:01.25", "2024-03-02"],
            [
                datetime(2024, 2, 29, 10),
                datetime(2024, 3, 1, 10, 0, 1, 250_000),
                datetime(2024, 3, 2),
            ],
        ),
        (["007", "12", "13"], ["007", "12", "13"]),
        (["12345678901234567890", "1", "2"], ["12345678901234567890", "1", "2"]),
        (["12", "13", "n/a"], ["12", "13", "n/a"]),
        (["01/02/2024", "1/3/2024", "x"], ["01/02/2024", "1/3/2024", "x"]),
        (["yes", "no", "yes"], ["yes", "no", "yes"]),
        (["", "", ""], [None, None, None]),
        (['""', "x", ""], ["", "x", None]),
    ],
)
def test_types_of_csv_cells_are_what_all_of_them_are(
    tmp_path: Path, cells: list[str], expected: list[Any]
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{cell},z\n" for cell in cells))
    read = whole(open_source("rows.csv", folder=tmp_path))["a"]
    assert read.equals(pl.Series("a", expected))


def test_a_late_decimal_does_not_break_an_integer_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchyard.data.reading.delimited._BLOCK_BYTES", 4096)
    monkeypatch.setattr("torchyard.data.reading.lines._BLOCK_BYTES", 4096)
    values = [*map(str, range(20_000)), "0.5"]
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{x},words\n" for x in values))
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"x": {x}}}\n' for x in values))
    for name in ("rows.csv", "rows.jsonl"):
        read = pl.concat(open_source(name, folder=tmp_path).chunks())["x"]
        assert read.dtype == pl.Float64
        assert read.to_list() == [*range(20_000), 0.5]


def test_a_schema_says_how_texts_are_read(tmp_path: Path) -> None:
    schema = ty.Schema(
        code=ty.id(), zone=ty.category(), x=ty.number(), n=ty.integer(),
        ok=ty.boolean(), when=ty.timestamp(),
    )  # fmt: skip
    (tmp_path / "rows.csv").write_text(
        "code,zone,x,n,ok,when,label\n007,1,2,3,yes,2024-07-31,1\n008,2,,4,0,,2\n"
    )
    read = whole(open_source("rows.csv", folder=tmp_path, schema=schema))
    assert read.rows() == [
        ("007", "1", 2.0, 3, True, datetime(2024, 7, 31), 1),
        ("008", "2", None, 4, False, None, 2),
    ]
    assert read.schema["x"] == pl.Float64


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (ty.binary_classification("late"), [True, False, None]),
        (ty.multiclass_classification("late", classes=["0", "1", "2"]), ["1", "0", None]),
    ],
)
def test_the_label_is_read_as_its_task_says(tmp_path: Path, task: Task, expected: Any) -> None:
    (tmp_path / "rows.csv").write_text("x,late\n1,1\n2,0\n3,\n")
    schema = Schema(fields=(*ty.Schema(x=ty.number()).fields, label_field(task)))
    read = whole(open_source("rows.csv", folder=tmp_path, schema=schema))
    assert read["late"].to_list() == expected


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "frame"])
def test_a_timestamp_may_be_text_in_any_format(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"when": ["2024-07-31T18:05:00", None]})
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_ndjson(tmp_path / "rows.jsonl")
    value = frame if kind == "frame" else f"rows.{kind}"
    read = whole(open_source(value, folder=tmp_path, schema=ty.Schema(when=ty.timestamp())))
    assert read["when"].to_list() == [datetime(2024, 7, 31, 18, 5), None]
    plain = whole(open_source(value, folder=tmp_path))
    assert plain.equals(frame)


def test_json_keys_may_be_missing_and_lists_nest(tmp_path: Path) -> None:
    lines = [{"t": [[1, 2], [3, 4]]}, {}, {"t": [[1.5, 2], [3, 4]], "late": True}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    read = whole(open_source("rows.jsonl", folder=tmp_path))
    assert read["t"].to_list() == [[[1, 2], [3, 4]], None, [[1.5, 2], [3, 4]]]
    assert read["late"].to_list() == [None, None, True]


def test_a_dictionary_by_split_adds_the_part() -> None:
    splits = {"train": ROWS.head(3), "val": ROWS.slice(3, 1), "test": ROWS.tail(1)}
    read = whole(open_source(splits, folder=Path()))
    assert read["part"].to_list() == ["train"] * 3 + ["validation", "test"]
    assert read.drop("part").equals(ROWS)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)
CELLS = st.tuples(
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | TEXTS,
    st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
)
SCHEMA: dict[str, Any] = {
    "f": pl.Float64,
    "i": pl.Int64,
    "b": pl.Boolean,
    "s": pl.String,
    "t": pl.Datetime("us"),
}
DECLARED = ty.Schema(f=ty.number(), i=ty.integer(), b=ty.boolean(), s=ty.text(), t=ty.timestamp())


@settings(max_examples=25, deadline=None)
@given(
    st.lists(CELLS, min_size=1, max_size=30),
    st.integers(1, 40),
    st.sampled_from(["csv", "tsv", "parquet", "jsonl", "arrow", "frame", "reader"]),
)
def test_any_split_into_chunks_gives_the_rows_as_written(
    tmp_path_factory: pytest.TempPathFactory, cells: list[Any], rows: int, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    frame = pl.DataFrame(cells, schema=SCHEMA, orient="row")
    path = folder / f"rows.{kind}"
    if kind in ("csv", "tsv"):
        frame.write_csv(path, separator="," if kind == "csv" else "\t", quote_style="non_numeric")
    elif kind == "jsonl":
        frame.write_ndjson(path)
    elif kind in ("parquet", "arrow"):
        frame.write_parquet(path) if kind == "parquet" else frame.write_ipc(path)
    values = {"frame": frame, "reader": lambda: frame.to_arrow().to_reader(max_chunksize=3)}
    source = open_source(values.get(kind, path), folder=folder, schema=DECLARED)
    assert whole(source, rows=rows).equals(frame)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=5), max_size=9), max_size=9),
    st.integers(1, 12),
    st.integers(1, 30),
)
def test_regrouped_frames_hold_the_same_rows_within_bounds(
    texts: list[list[str]], rows: int, size: int
) -> None:
    frames = [pl.DataFrame({"s": some}, schema={"s": pl.String}) for some in texts]
    made = list(regroup(frames, rows=rows, size=size))
    assert [text for frame in made for text in frame["s"]] == [t for some in texts for t in some]
    apart = [pl.DataFrame({"s": [text]}) for some in texts for text in some]
    again = regroup(apart, rows=rows, size=size)
    assert [frame.height for frame in made] == [frame.height for frame in again]
    for frame in made:
        assert 0 < frame.height <= rows
        assert frame.height == 1 or row_sizes(frame).sum() <= size


def test_full_chunks_do_not_depend_on_the_frames_they_come_from() -> None:
    frames = [pl.DataFrame({"x": range(n)}) for n in (3, 0, 5, 1, 7)]
    assert [frame.height for frame in regroup(frames, rows=4)] == [4, 4, 4, 4]


def test_lists_structs_and_pictures_count_as_bytes() -> None:
    frame = pl.DataFrame(
        {
            "b": [b"123", None],
            "s": [{"bytes": b"12", "path": "abcd"}, None],
            "l": [[1, 2, 3], []],
            "a": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
            "x": [1, 2],
        }
    )
    assert row_sizes(frame).to_list() == [3 + 6 + 24 + 16, 16]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "jsonl", "txt", "frames"])
def test_no_more_than_a_chunk_is_read_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The first chunk of many is there when little more than a chunk has been read."""
    monkeypatch.setattr("torchyard.data.reading.delimited._BLOCK_BYTES", 2**15)
    monkeypatch.setattr("torchyard.data.reading.lines._BLOCK_BYTES", 2**15)
    rows, chunk = 200_000, 1000
    frame = pl.DataFrame({"text": [f"number {n}" for n in range(rows)]})
    path = tmp_path / f"rows.{kind}"
    writers: dict[str, Callable[[], object]] = {
        "parquet": lambda: frame.write_parquet(path, row_group_size=5000),
        "arrow": lambda: frame.write_ipc(path, record_batch_size=chunk),
        "csv": lambda: frame.write_csv(path),
        "jsonl": lambda: frame.write_ndjson(path),
        "txt": lambda: path.write_text("\n".join(frame["text"])),
        "frames": lambda: None,
    }
    writers[kind]()
    value: object = (lambda: frame.iter_slices(chunk)) if kind == "frames" else path
    source = open_source(value, folder=tmp_path)
    read: list[int] = []

    def counted(part: Part) -> Part:
        def frames(wanted: int) -> Iterator[pl.DataFrame]:
            for found in part.frames(wanted):
                read.append(found.height)
                yield found

        return replace(part, frames=frames)

    parts = tuple(counted(part) for part in source.parts)  # type: ignore[attr-defined]
    given_rows = 0
    for found in replace(source, parts=parts).chunks(rows=chunk):  # type: ignore[type-var]
        given_rows += found.height
        assert sum(read) - given_rows <= 5 * chunk
    assert given_rows == rows
