"""New York's airports in 2013: rain, fog, wind, frost, or none of them in three hours?"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from tables import CONDITIONS, WEATHER, weather_ahead
from torch import nn

import torchyard as ty


class WeatherNet(nn.Module):
    """A line, and a network for what bends: a logit of each condition, any number may come true."""

    def __init__(self, features, hidden=32):
        super().__init__()
        width = features["numbers"].width + features["clock"].width
        self.line = nn.Linear(width, len(CONDITIONS))
        self.bend = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, len(CONDITIONS))
        )

    def forward(self, numbers, clock):
        readings = torch.cat([numbers, clock], dim=1)
        return self.line(readings) + self.bend(readings)


project = ty.Project(
    name="weather-ahead",
    description="Warns ground crews of what the next shift begins with.",
    task=ty.multilabel_classification("conditions", classes=list(CONDITIONS), threshold=0.4),
    schema=ty.Schema(
        hour=ty.timestamp(description="local time"),
        origin=ty.category(["EWR", "JFK", "LGA"]),
        wind_dir=ty.number(unit="degree", ge=0, le=360, optional=True),
        temp=ty.number(unit="F", ge=-40, le=130, optional=True),
        dewp=ty.number(unit="F", ge=-60, le=100, optional=True),
        humid=ty.number(unit="percent", ge=0, le=100, optional=True),
        wind_speed=ty.number(unit="mph", ge=0, le=120, optional=True),
        wind_gust=ty.number(unit="mph", ge=0, le=150, optional=True),
        precip=ty.number(unit="inch", ge=0, le=20, optional=True),
        pressure=ty.number(unit="hPa", ge=870, le=1090, optional=True),
        visib=ty.number(unit="miles", ge=0, le=10, optional=True),
        day=ty.id(later=True),
    ),
    data=weather_ahead,
    split=ty.split_by_group("day", validation=0.2, test=0.25),
    features=ty.Features(
        numbers=ty.standardize("wind_dir", *WEATHER),
        clock=ty.cyclic_time("hour", "hour"),
    ),
    model=WeatherNet,
    training=ty.Training(max_epochs=20, batch_size=128, learning_rate=1e-2, seed=7),
    slices=["origin"],
    checks=ty.Checks(predicts_alone_at_most=0.995),  # frost follows frost: no leak
    gates=[
        ty.gate("micro_f1", at_least=0.6),
        ty.gate("macro_auroc", at_least=0.9),
        ty.gate("micro_recall", per_slice="origin", min_rows=500, at_least=0.5),
        ty.gate("log_loss", against="linear", drop_at_most=0, required=False),
        ty.gate("log_loss", against="champion", drop_at_most=0.02),
    ],
    objective=ty.Objective(p99_ms=20, max_size_mb=50),
)
