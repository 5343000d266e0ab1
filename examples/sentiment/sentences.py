"""Sentences of one or more sources. A tenth of each validates, a fifth tests, the rest trains."""

from pathlib import Path

import polars as pl

import torchyard as ty

DATA = Path(__file__).parent / "data" / "sentences.csv"
SOURCES = ("film", "tweet", "product", "news")

TASK = ty.binary_classification("positive", classes=("negative", "positive"))
SCHEMA = ty.Schema(
    text=ty.text(max_length=2000),
    source=ty.category(SOURCES, later=True, description="where it was written"),
    part=ty.category(["train", "validation", "test"], later=True),
)


def sentences(*sources):
    """Distinct sentences; positive when the mean of twenty ratings is above zero."""
    tenth = pl.int_range(pl.len()).over("source") % 10
    return (
        pl.read_csv(DATA)
        .filter(pl.col("source").is_in(sources), pl.col("text") != "")
        .unique("text", keep="first", maintain_order=True)
        .select(
            "text",
            "source",
            positive=pl.col("valence") > 0,
            part=pl.when(tenth < 7)
            .then(pl.lit("train"))
            .when(tenth < 8)
            .then(pl.lit("validation"))
            .otherwise(pl.lit("test")),
        )
    )
