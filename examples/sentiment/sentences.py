"""Sentences with their part: films train and validate; held-out films and all else test."""

from pathlib import Path

import polars as pl

import torchyard as ty

DATA = Path(__file__).parent / "data" / "sentences.csv"

TASK = ty.binary_classification("positive", classes=("negative", "positive"))
SCHEMA = ty.Schema(
    text=ty.text(max_length=2000),
    source=ty.category(["film", "tweet", "product", "news"], later=True),
    part=ty.category(["train", "validation", "test"], later=True),
)


def sentences(others=4_000):
    """Distinct sentences; `others` is how many of each other source test, in the file's order."""
    rows = (
        pl.read_csv(DATA)
        .filter(pl.col("text") != "")
        .unique("text", keep="first", maintain_order=True)
        .with_columns(positive=pl.col("valence") > 0, place=pl.int_range(pl.len()).over("source"))
    )
    part = (
        pl.when((pl.col("source") == "film") & (pl.col("place") % 10 < 7)).then(pl.lit("train"))
        .when((pl.col("source") == "film") & (pl.col("place") % 10 < 8)).then(pl.lit("validation"))
        .when((pl.col("source") == "film") | (pl.col("place") < others)).then(pl.lit("test"))
    )  # fmt: skip
    return rows.with_columns(part=part).drop_nulls("part").drop("valence", "place")
