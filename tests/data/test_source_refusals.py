"""What cannot be read is refused by name: which file, where in it, what is wrong, what to do."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.source import open_source
from torchyard.records.schema import Schema

LONG = "x,y\n" + "".join(f"{n},{n * n}\n" for n in range(5000))


def refusal(value: object, folder: Path, schema: Schema | None = None) -> str:
    with pytest.raises(BadData) as refused:
        list(open_source(value, folder=folder, schema=schema).chunks())
    return str(refused.value)


FILES: list[tuple[str, bytes, list[str]]] = [
    ("rows.xlsx", b"x", ["rows.xlsx: found a file ending in '.xlsx'; expected .csv .tsv"]),
    ("rows.cvs", b"x", ["found a file ending in '.cvs'", "Did you mean '.csv'?"]),
    ("rows.json", b"[]", ["a file ending in '.json'", "Did you mean '.jsonl'?"]),
    ("rows.csv", b"", ["rows.csv: found an empty file"]),
    ("rows.csv", b"\n\n", ["rows.csv: found an empty file; expected a header"]),
    ("rows.csv.gz", gzip.compress(b""), ["rows.csv.gz: found an empty file"]),
    ("rows.csv", b"x,y\n", ["rows.csv: found no rows", "a header alone is not enough"]),
    ("rows.parquet", b"PAR1 cut", ["rows.parquet: found", "a whole, well-formed Parquet file"]),
    ("rows.arrow", b"ARROW1 cut", ["rows.arrow: found", "a whole, well-formed Arrow file"]),
    ("rows.csv.gz", gzip.compress(LONG.encode())[:-900],
     ["rows.csv.gz: found a damaged gzip file", "test it with: gzip -t"]),
    ("rows.jsonl.gz", b"not gzip", ["rows.jsonl.gz: found a damaged gzip file"]),
    ("rows.csv", "x,y\n1,caf\xe9\n".encode("latin-1"),
     ["rows.csv, byte 9: found byte 0xe9, which is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8"]),
    ("rows.csv", "x,caf\xe9\n1,2\n".encode("latin-1"), ["rows.csv, byte 5: found byte 0xe9"]),
    ("rows.csv", "x,y\n1,2\n".encode("utf-16"),
     ["rows.csv, byte 0: found byte 0xff", "looks like UTF-16", "iconv -f UTF-16"]),
    ("rows.csv", b"x,y\n1,\xc3", ["rows.csv, byte 6: found byte 0xc3"]),
    ("rows.jsonl", b'{"x": 1}\n{"x": "\xe9"}\n', ["rows.jsonl, byte 16: found byte 0xe9"]),
    ("rows.txt", b"a\n\xe9\n", ["rows.txt, byte 2: found byte 0xe9"]),
    ("rows.csv", b"x,y,x\n1,2,3\n",
     ["rows.csv, column 'x': found 2 columns of that name (1, 3 of 3)"]),
    ("rows.jsonl", b'{"x": 1}\n\n{"x": 1, "x": 2}\n',
     ["rows.jsonl, line 3, key 'x': found the key twice"]),
    ("rows.csv", b"x,y\n1,2\n\n3\n",
     ["rows.csv, row 2 (line 4): found 1 cells: '3'; expected 2 cells"]),
    ("rows.csv", b'x,y\n"1\n2",2\n3,4,5\n',
     ["rows.csv, row 2 (line 4): found 3 cells: '3,4,5'", "quotes around cells"]),
    ("rows.csv", b'x,y\n1,2\n3,"4\n5,6\n',
     ["rows.csv, line 3: found a quote that is opened and never closed"]),
    ("rows.csv", b"x;y\n1;2\n",
     ["rows.csv, line 1: found one column named 'x;y'", "separator=';'"]),
    ("rows.tsv", b"x,y\n1,2\n", ["found one column named 'x,y'; expected columns parted by tabs"]),
    ("rows.jsonl", b'{"x": 1}\n{"x":\n',
     ["rows.jsonl, line 2, column", "found malformed JSON", "the file was cut off"]),
    ("rows.jsonl", b"[1, 2]\n", ["rows.jsonl, line 1: found a JSON list"]),
    ("rows.jsonl", b'{"x": 12}\n{"x": 13}\n{"x": "n/a"}\n',
     ["rows.jsonl, line 3, column 'x': found the text \"n/a\"; expected a number"]),
    ("rows.jsonl", b"\n\n", ["rows.jsonl: found no rows"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), FILES)
def test_a_bad_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, said: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    text = refusal(name, tmp_path)
    for part in said:
        assert part in text


DECLARED = {
    "number": (ty.number(), "n/a", "a number, as declared"),
    "integer": (ty.integer(), "13.5", "a whole number, as declared"),
    "boolean": (ty.boolean(), "maybe", "true or false, as declared"),
    "timestamp": (ty.timestamp(), "31/07/2024", "a local date and time such as 2024-07-31T18:05"),
}


@pytest.mark.parametrize("kind", DECLARED)
def test_a_cell_of_another_type_is_named_with_its_row_and_line(tmp_path: Path, kind: str) -> None:
    field, wrong, expected = DECLARED[kind]
    good = {"boolean": "true", "timestamp": "2024-07-31"}.get(kind, "12")
    (tmp_path / "rows.csv").write_text(f'y,x\n"a\nb",{good}\n\nc,\n"d",{wrong}\n')
    text = refusal("rows.csv", tmp_path, ty.Schema(x=field))
    assert f"rows.csv, column 'x', row 3 (line 6): found '{wrong}'; expected {expected}" in text
    assert "leave the cell empty where it is missing" in text


def test_the_row_is_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchyard.data.reading.delimited._BLOCK_BYTES", 1024)
    (tmp_path / "rows.csv").write_text(LONG + "n/a,1\n")
    text = refusal("rows.csv", tmp_path, ty.Schema(x=ty.number(), y=ty.number()))
    assert "column 'x', row 5001 (line 5002): found 'n/a'" in text


def test_a_type_that_changes_between_blocks_of_json_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchyard.data.reading.lines._BLOCK_BYTES", 1024)
    lines = "".join(f'{{"x": {n}}}\n' for n in range(500))
    (tmp_path / "rows.jsonl").write_text(lines + '{"x": [1]}\n')
    text = refusal("rows.jsonl", tmp_path)
    assert "rows.jsonl, line 501, column 'x': found the list [1]; expected a number" in text


def test_a_row_longer_than_a_block_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchyard.data.reading.delimited._BLOCK_BYTES", 2048)
    (tmp_path / "rows.csv").write_text("x,y\n" + f"1,{'z' * 9000}\n" * 3)
    assert "Look for a quote" in refusal("rows.csv", tmp_path)


def test_a_line_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchyard.data.reading.lines._BLOCK_BYTES", 16)
    monkeypatch.setattr("torchyard.data.reading.lines._LONGEST_LINE_BYTES", 64)
    (tmp_path / "rows.txt").write_text("first\n" + "x" * 100)
    assert "rows.txt, line 2: found a line of more than" in refusal("rows.txt", tmp_path)


def test_a_time_that_is_no_time_is_refused_in_any_format(tmp_path: Path) -> None:
    frame = pl.DataFrame({"when": ["2024-07-31", "2024-07-31T10:00:00Z"]})
    text = refusal(frame, tmp_path, ty.Schema(when=ty.timestamp()))
    assert "DataFrame, column 'when', row 2: found '2024-07-31T10:00:00Z'" in text


@pytest.mark.parametrize("cut", [8, 100, 1500])
def test_a_truncated_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"x": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert "a whole, well-formed Parquet file" in refusal("rows.parquet", tmp_path)


def test_a_parquet_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"x": [str(n * 7919) for n in range(9000)]}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[20:2000] = bytes(1980)
    path.write_bytes(content)
    assert "a whole, well-formed Parquet file" in refusal("rows.parquet", tmp_path)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_repeated_columns_of_a_typed_file_are_refused(tmp_path: Path, form: str) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    path = tmp_path / f"rows.{form}"
    if form == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    assert f"rows.{form}, column 'x': found 2 columns" in refusal(path.name, tmp_path)
    assert "Table, column 'x': found 2 columns" in refusal(table, tmp_path)


def test_a_missing_path_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("x\n1\n")
    text = refusal("flight.csv", tmp_path)
    assert "flight.csv: found no such file or folder; expected a file that can be read" in text
    assert f"relative ones start at {tmp_path}. Did you mean 'flights.csv'?" in text
    assert "none is not there either" in refusal("none/rows.csv", tmp_path)
    assert "parts/*.csv: found no such file" in refusal("parts/*.csv", tmp_path)


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    (tmp_path / "rows.csv" / "notes.md").write_text("x")
    text = refusal("rows.csv", tmp_path)
    assert "rows.csv: found a folder with 1 files, none a table or a picture" in text
    assert "rows.csv/**/*.parquet" in text


def test_a_file_as_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    assert "found no such file or folder" in refusal("rows.csv/part.csv", tmp_path)


@pytest.mark.parametrize("method", ["open", "iterdir"])
def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    if method == "open":
        monkeypatch.setattr(Path, "open", denied)
    else:
        monkeypatch.setattr("torchyard.data.reading.locate.os.listdir", denied)
    value = "rows.csv" if method == "open" else "."
    text = refusal(value, tmp_path)
    assert f"{value}: found permission denied" in text
    assert "chmod" in text


def test_files_of_other_columns_formats_or_types_do_not_mix(tmp_path: Path) -> None:
    pl.DataFrame({"x": [1], "y": [2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"x": [1], "z": [2]}).write_parquet(tmp_path / "b.parquet")
    pl.DataFrame({"x": ["1"], "y": [2]}).write_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.csv").write_text("x\n1\n")
    assert "b.parquet: found columns without ['y'] and with ['z'], unlike a.parquet" in refusal(
        "[ab].parquet", tmp_path
    )
    assert "c.parquet, column 'x': found String values; expected Int64, as in a.parquet" in refusal(
        "[ac].parquet", tmp_path
    )
    assert "a.parquet and 1 more files: found the formats Parquet and CSV" in refusal(
        "[ad].*", tmp_path
    )


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(LONG)
    source = open_source("rows.csv", folder=tmp_path)
    list(source.chunks())
    path.write_text(LONG + "1,2\n")
    with pytest.raises(BadData, match=r"rows\.csv: found a file that changed"):
        list(source.chunks())


def returns_three() -> int:
    return 3


def fails() -> None:
    raise KeyError("no such table")


def yields_three() -> Iterator[int]:
    yield 3


def fails_later() -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"x": [1]})
    raise RuntimeError("connection lost")


def returns_nothing() -> Iterator[pl.DataFrame]:
    return iter(())


def returns_function() -> Callable[[], int]:
    return returns_three


def refuses() -> None:
    raise BadData(where="my table", found="a", expected="b", remedy="C.")


FUNCTIONS: list[tuple[Callable[[], Any], str]] = [
    (returns_three, "function returns_three: found a int; expected a polars, pandas or Arrow"),
    (fails, "function fails: found KeyError: 'no such table'"),
    (yields_three, "function yields_three, frame 1: found a int"),
    (fails_later, "function fails_later, frame 2: found RuntimeError: connection lost"),
    (returns_nothing, "function returns_nothing: found no rows"),
    (returns_function, "function returns_function: found a function"),
    (refuses, "my table: found a; expected b. C."),
    (lambda: {}, "found a dict; expected"),
    (lambda: {"train": {"x": [1]}}, "found a dict; expected"),
    (lambda: pl.DataFrame({"x": []}), "found no rows"),
    (lambda: pl.LazyFrame({"x": [1]}).select("y"), "found a query that fails: "),
    (lambda: {"train": pl.DataFrame({"part": [1]})}, "column 'part': found a column of that name"),
]


@pytest.mark.parametrize(("function", "said"), FUNCTIONS)
def test_what_a_function_does_wrong_is_said(
    tmp_path: Path, function: Callable[[], Any], said: str
) -> None:
    assert said in refusal(function, tmp_path)


def test_a_pandas_column_of_two_types_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1, 2], "y": [1, 2]}).to_pandas().astype(object)
    frame.loc[1, "y"] = "n/a"
    text = refusal(frame, tmp_path)
    assert "DataFrame, column 'y': found values of the types int, str" in text
    assert "expected one type per column" in text
    assert "frame['y'].astype(str)" in text


def test_a_table_by_another_name_is_refused(tmp_path: Path) -> None:
    assert "int: found a int; expected a polars" in refusal(3, tmp_path)


def test_a_single_column_is_no_table() -> None:
    series = pl.DataFrame({"x": [1, 2]}).to_pandas()["x"]
    assert "found a Series; expected a polars, pandas or Arrow table" in refusal(series, Path())


def test_arrow_types_that_have_no_column_are_refused() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    text = refusal(pa.table({"x": union}), Path())
    assert "expected columns of numbers, texts" in text
