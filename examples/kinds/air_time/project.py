"""Flights from New York in 2013: how many minutes will this one be in the air?"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from tables import air_times
from torch import nn

import torchyard as ty


class AirNet(nn.Module):
    """`forward` returns one number per flight, of mean 0 and deviation 1 over the training rows."""

    def __init__(self, features, hidden=64):
        super().__init__()
        sizes = {tensor.name: tensor.cardinality for tensor in features.tensors}
        self.dest = nn.Embedding(sizes["dest"], 16)
        self.origin = nn.Embedding(sizes["origin"], 3)
        self.carrier = nn.Embedding(sizes["carrier"], 4)
        self.maker = nn.Embedding(sizes["maker"], 4)
        width = features["numbers"].width + features["clock"].width + 27
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, numbers, clock, dest, origin, carrier, maker):
        places = [self.dest(dest), self.origin(origin), self.carrier(carrier), self.maker(maker)]
        return self.layers(torch.cat([numbers, clock, *places], dim=1))


project = ty.Project(
    name="air-time",
    description="Tells dispatchers how long a flight will be in the air, before it leaves.",
    task=ty.regression("air_time", unit="minutes", coverage=0.9, ge=0, le=1200),
    schema=ty.Schema(
        scheduled=ty.timestamp(description="departure, local time"),
        carrier=ty.category(),
        origin=ty.category(["EWR", "JFK", "LGA"]),
        dest=ty.category(),
        distance=ty.number(unit="miles", ge=0, le=6000),
        seats=ty.integer(ge=1, le=900, optional=True),
        maker=ty.category(optional=True),
        wind_dir=ty.number(unit="degree", ge=0, le=360, optional=True),
        wind_speed=ty.number(unit="mph", ge=0, le=120, optional=True),
    ),
    data=air_times,
    split=ty.split_by_time("scheduled", validation="2013-06-15", test="2013-07-01"),
    features=ty.Features(
        numbers=ty.standardize("distance", "seats", "wind_dir", "wind_speed"),
        clock=ty.cyclic_time("scheduled", "hour"),
        dest=ty.lookup("dest", min_count=100),
        origin=ty.lookup("origin"),
        carrier=ty.lookup("carrier", min_count=20),
        maker=ty.lookup("maker", min_count=100),
    ),
    model=AirNet,
    training=ty.Training(max_epochs=6, batch_size=512, learning_rate=3e-3, seed=7),
    slices=["origin"],
    gates=[
        ty.gate("mae", at_most=9.5),
        ty.gate("interval_coverage", at_least=0.8),
        ty.gate("mae", per_slice="origin", min_rows=500, at_most=11),
        ty.gate("mae", against="linear", drop_at_most=0),
        ty.gate("mae", against="champion", drop_at_most=0.2),
    ],
    objective=ty.Objective(p99_ms=20, max_size_mb=50),
)
