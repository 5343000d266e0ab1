"""People of Massachusetts, 2015 to 2018: who has work? (American Community Survey.)

Fetch the data first: python fetch.py
"""

from pathlib import Path

import polars as pl
from model import EmploymentNet

import torchyard as ty

DATA = Path(__file__).parent / "data"
# the survey's names and ours, as the field list of the ACS public use microdata calls them
NAMES = {
    "AGEP": "age", "SCHL": "schooling", "MAR": "married", "RELP": "relation", "DIS": "disability",
    "ESP": "parents", "CIT": "citizen", "MIG": "moved", "MIL": "military", "ANC": "ancestry",
    "NATIVITY": "born", "DEAR": "hearing", "DEYE": "sight", "DREM": "cognition", "SEX": "sex",
    "RAC1P": "race", "id": "person", "year": "year", "employed": "employed",
}  # fmt: skip
SEX = {"1": "male", "2": "female"}
RACE = {"1": "white", "2": "black", "6": "asian", "8": "other", "9": "several"}


def people():
    """Everybody asked, with the labels of 2016 to 2018 joined from their own file."""
    labels = pl.read_parquet(DATA / "labels-2016-2018.parquet")
    later = pl.read_parquet(DATA / "people-2016-2018.parquet").join(labels, on="id", how="left")
    return (
        pl.concat([pl.read_parquet(DATA / "people-2015.parquet"), later.with_columns()],
                  how="diagonal_relaxed")
        .with_columns(pl.col(pl.Categorical).cast(pl.String))
        .rename(NAMES)
        .with_columns(
            person=pl.col("person").cast(pl.String),
            surveyed=pl.datetime(pl.col("year"), 7, 1),
            sex=pl.col("sex").replace_strict(SEX),
            race=pl.col("race").replace_strict(RACE, default="other"),
            employed=pl.col("employed") == 1,
        )
        .drop("year")
    )  # fmt: skip


project = ty.Project(
    name="employment",
    description="Plans for job centres: how many people of a town have work. Not for hiring.",
    task=ty.binary_classification("employed", classes=("no work", "works")),
    data=people,
    schema=ty.Schema(
        person=ty.id(unique=True, later=True),
        surveyed=ty.timestamp(later=True, description="the year, as its middle"),
        age=ty.number(unit="years", ge=0, le=120),
        sex=ty.category(["male", "female"], protected=True),
        race=ty.category(list(RACE.values()), protected=True),
        **{name: ty.category() for name in (
            "schooling", "married", "relation", "disability", "parents", "citizen", "moved",
            "military", "ancestry", "born", "hearing", "sight", "cognition")},
    ),
    split=ty.split_by_time("surveyed", validation="2017-01-01", test="2018-01-01"),
    features=ty.Features(
        age=ty.standardize("age"),
        age_group=ty.bucket("age", edges=[16, 18, 21, 25, 30, 40, 50, 60, 65, 70, 80]),
        at_home=ty.cross(ty.lookup("sex"), ty.lookup("married"), ty.lookup("parents")),
        **{name: ty.lookup(name, min_count=20) for name in (
            "schooling", "relation", "disability", "citizen", "moved", "military", "cognition")},
    ),
    model=EmploymentNet,
    training=ty.Training(max_epochs=8, batch_size=1024, learning_rate=2e-3, patience=2, seed=7),
    slices=["citizen"],
    gates=[
        ty.gate("auroc", at_least=0.88),
        ty.gate("expected_calibration_error", at_most=0.03),
        ty.gate("equalized_odds_difference", group="sex", at_most=0.15, required=False),
        ty.gate("log_loss", against="champion", drop_at_most=0.005),
    ],
    objective=ty.Objective(p99_ms=5, max_size_mb=5),
)  # fmt: skip
