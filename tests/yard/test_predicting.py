"""Answers to tables: what the server would say, row by row, whatever the format and the size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from tests.support.kinds import labels_onnx, number_onnx, of_number, with_labels, with_number
from tests.support.releases import answer, sample_release
from torchyard.core.errors import BadData, BadUsage, NotReady
from torchyard.data.rows import request_rows
from torchyard.records.abstaining import Abstention
from torchyard.release import Release
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.predictions import predictions
from torchyard.yard import predicting
from torchyard.yard.predicting import predict_table

WHEN = datetime(2026, 2, 1, 8)


def table(rows: int = 7) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "order": [f"N{place}" for place in range(rows)],
            "distance": [None if place % 5 == 3 else place * 311.5 for place in range(rows)],
            "carrier": [("AA", "DL", "UA")[place % 3] for place in range(rows)],
            "departs": [WHEN] * rows,
            "seat": ["1A"] * rows,
        }
    )


@pytest.fixture(scope="module", name="release")
def _release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("release"))


def served(release: Release, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """What the JSON route says of these rows."""
    engine = open_engine(release, max_rows=1000)
    rows = request_rows(frame, release.schema)
    scores = engine.score(engine.decoder.decode(msgspec.json.encode({"rows": rows})).rows)
    return predictions(engine.task, frame["order"].to_list(), scores)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".arrow"])
def test_a_table_is_answered_as_requests_are(
    release: Release, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "CHUNK_ROWS", 3)  # several chunks, the last one short
    source, target = tmp_path / "in.parquet", tmp_path / f"out{ending}"
    table().write_parquet(source)

    made = predict_table(release, "in.parquet", target, folder=tmp_path)

    assert (made.rows, made.refused, made.abstained) == (7, 0, 0)
    read: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson,
        ".arrow": pl.read_ipc,
    }  # fmt: skip
    out = read[ending](target)
    assert out.columns[:5] == table().columns
    assert out["order"].to_list() == table()["order"].to_list()
    for row, said in zip(out.iter_rows(named=True), served(release, table()), strict=True):
        assert row["label"] == said["label"]
        assert row["confidence"] == pytest.approx(said["confidence"], abs=1e-6)
        assert row["probability late"] == pytest.approx(said["probabilities"]["late"], abs=1e-6)
    assert out["error"].to_list() == [None] * 7
    assert set(out["release"]) == {release.id.removeprefix("sha256:")[:12]}
    assert set(tmp_path.iterdir()) == {source, target}


def test_rows_that_do_not_fit_keep_their_place(release: Release, tmp_path: Path) -> None:
    frame = table().with_columns(
        carrier=pl.Series(["AA", "XX", "UA", "AA", None, "UA", "AA"]),
        distance=pl.Series([1.0, 1.0, -5.0, 1.0, 1.0, 1000.0, 1e9]),
    )
    made = predict_table(release, frame, tmp_path / "out.parquet", folder=tmp_path)

    out = pl.read_parquet(tmp_path / "out.parquet")
    assert (made.rows, made.refused) == (7, 4)
    assert out["error"].to_list() == [
        None, "carrier: is not an allowed value", "distance: is below 0 km", None,
        "carrier: is missing", None, "distance: is above 5000 km",
    ]  # fmt: skip
    assert out["label"].is_null().to_list() == [False, True, True, False, True, False, True]
    assert out["probability late"][5] == pytest.approx(answer(1000.0)[1])


def test_a_row_that_breaks_the_model_breaks_no_other(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Engine.answer

    def break_on(engine: Engine, columns: Any, rows: int) -> Any:
        if (columns["distance"] == 311.5).any():
            raise BadData(where="photo", found="half a picture", expected="one", remedy="Mend it.")
        return whole(engine, columns, rows)

    monkeypatch.setattr(Engine, "answer", break_on)
    predict_table(release, table(), tmp_path / "out.csv", folder=tmp_path)

    out = pl.read_csv(tmp_path / "out.csv")
    assert out["error"].to_list() == [None, "photo: half a picture", *[None] * 5]
    assert out["label"].null_count() == 1


def test_numbers_come_with_their_intervals(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=number_onnx(), change=with_number)
    predict_table(release, table(), tmp_path / "out.parquet", folder=tmp_path)
    out = pl.read_parquet(tmp_path / "out.parquet")
    for place, distance in enumerate(table()["distance"]):
        row = out.row(place, named=True)
        expected = of_number(distance)
        assert (row["value"], row["low"], row["high"]) == pytest.approx(expected, abs=1e-4)


def test_a_release_that_may_abstain_says_where_it_does(tmp_path: Path) -> None:
    limits = Abstention(below=0.7, wider_than=None, known=())
    release = sample_release(tmp_path, change=lambda made: replace(made, abstention=limits))
    made = predict_table(release, table(), tmp_path / "out.parquet", folder=tmp_path)

    out, said = pl.read_parquet(tmp_path / "out.parquet"), served(release, table())
    assert out["abstained"].to_list() == [one["abstained"] for one in said]
    assert out["reason"].to_list() == [one["reason"] for one in said]
    assert out["label"].to_list() == [one["label"] for one in said]
    assert out["confidence"].to_list() == pytest.approx([one["confidence"] for one in said])
    assert out["probability late"].null_count() == made.abstained
    assert made.abstained == sum(one["abstained"] is not None for one in said) > 0


def test_several_labels_are_a_list(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=labels_onnx(), change=with_labels)
    predict_table(release, table(), tmp_path / "out.parquet", folder=tmp_path)
    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out["labels"].to_list() == [said["labels"] for said in served(release, table())]


def test_only_what_is_to_be_kept_stands_before_the_answers(
    release: Release, tmp_path: Path
) -> None:
    predict_table(release, table(), tmp_path / "out.csv", folder=tmp_path, keep=["order"])
    names = pl.read_csv(tmp_path / "out.csv").columns
    assert names[:2] == ["order", "label"]
    with pytest.raises(BadUsage, match="no column 'ordre'"):
        predict_table(release, table(), tmp_path / "x.csv", folder=tmp_path, keep=["ordre"])
    frame = table().with_columns(label=pl.lit("late"))
    with pytest.raises(BadUsage, match="a column 'label' in the source"):
        predict_table(release, frame, tmp_path / "x.csv", folder=tmp_path)
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("name", "found"), [("out.txt", "ends in '.txt'"), ("out", "no ending"), ("in.csv", "already")]
)
def test_a_target_that_cannot_be_is_refused_first(
    release: Release, tmp_path: Path, name: str, found: str
) -> None:
    (tmp_path / "in.csv").write_text("x\n")
    with pytest.raises(BadUsage, match=found):
        predict_table(release, table(), tmp_path / name, folder=tmp_path)
    predict_table(release, table(), tmp_path / "in.csv", folder=tmp_path, force=True)
    assert pl.read_csv(tmp_path / "in.csv").height == 7


def test_a_source_that_breaks_off_leaves_the_old_answers(release: Release, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old\n")

    def broken() -> Iterator[pl.DataFrame]:
        yield table(70_000)
        raise BadData(where="a disk", found="nothing more", expected="rows", remedy="Mend it.")

    with pytest.raises(BadData, match="a disk"):
        predict_table(release, broken, target, folder=tmp_path, force=True)
    assert target.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_takes_nothing_is_told(release: Release, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="Nothing was left there"):
        predict_table(release, table(), tmp_path / "not" / "there.parquet", folder=tmp_path)


def test_missing_columns_are_named(release: Release, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="carrier"):
        predict_table(release, table().drop("carrier"), tmp_path / "out.csv", folder=tmp_path)
