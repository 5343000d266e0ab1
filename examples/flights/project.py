"""Flights from New York in 2013: will this one arrive more than 15 minutes late?"""

from flights import WEATHER, flights
from model import DelayNet

import torchyard as ty

project = ty.Project(
    name="flight-delay",
    description="Shown to passengers at booking; a person decides what to do about it.",
    task=ty.binary_classification("late", classes=("on time", "late"), threshold=0.3),
    schema=ty.Schema(
        scheduled=ty.timestamp(description="departure, local time"),
        carrier=ty.category(),
        origin=ty.category(["EWR", "JFK", "LGA"], protected=True),
        dest=ty.category(),
        distance=ty.number(unit="miles", ge=0, le=6000),
        seats=ty.integer(ge=1, le=900, optional=True),
        built=ty.integer(unit="year", ge=1940, le=2030, optional=True),
        maker=ty.category(optional=True),
        temp=ty.number(unit="F", ge=-40, le=130, optional=True),
        dewp=ty.number(unit="F", ge=-60, le=100, optional=True),
        humid=ty.number(unit="percent", ge=0, le=100, optional=True),
        wind_speed=ty.number(unit="mph", ge=0, le=120, optional=True),
        wind_gust=ty.number(unit="mph", ge=0, le=150, optional=True),
        precip=ty.number(unit="inch", ge=0, le=20, optional=True),
        pressure=ty.number(unit="hPa", ge=870, le=1090, optional=True),
        visib=ty.number(unit="miles", ge=0, le=10, optional=True),
    ),
    data=flights,
    split=ty.split_by_time("scheduled", validation="2013-08-01", test="2013-10-01"),
    features=ty.Features(
        numbers=ty.standardize("distance", "seats", "built", *WEATHER),
        clock=ty.cyclic_time("scheduled", "hour", "weekday"),
        carrier=ty.lookup("carrier", min_count=20),
        origin=ty.lookup("origin"),
        dest=ty.lookup("dest", min_count=100),
        maker=ty.lookup("maker", min_count=100),
    ),
    model=DelayNet,
    training=ty.Training(max_epochs=8, batch_size=1024, learning_rate=2e-3, seed=7),
    slices=["carrier"],
    staleness=ty.Staleness(every="30d", models=2),
    abstain=ty.Abstain(outside_training=True),
    behaviours=[
        ty.invariant("wind_speed", change=+0.1, tolerance=0.01),
        ty.directional("precip", change=+0.5, expect="up", tolerance=0.02),
        ty.directional("visib", change=-5, expect="up", tolerance=0.02),
        ty.robust(missing="every optional field"),
        ty.robust(unit="wind_speed", sent_in="m/s"),
        ty.adversarial("temp", "dewp", within=2),
    ],
    gates=[
        ty.gate("auroc", at_least=0.64),
        ty.gate("expected_calibration_error", at_most=0.06),
        ty.gate("equalized_odds_difference", group="origin", at_most=0.30),
        ty.gate("auroc", per_slice="carrier", min_rows=500, at_least=0.50, required=False),
        ty.gate("log_loss", against="champion", drop_at_most=0.01),
        ty.gate("log_loss", against="linear", drop_at_most=0.0),
        ty.gate("auroc", against="trees", drop_at_most=0.0, required=False),
        ty.gate("agreement", at_least=0.99),
        ty.gate("coverage", at_least=0.99),
    ],
    objective=ty.Objective(p99_ms=20, max_size_mb=50),
)
