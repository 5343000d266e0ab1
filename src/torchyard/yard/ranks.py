"""A process of another rank than 0: it opens the project itself and trains along.

Rank 0 starts it as ``python -m torchyard.yard.ranks``, see ``train/rank.py``.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from torchyard.core.errors import BadProject
from torchyard.core.record import Json, from_json, to_json
from torchyard.records.dataset import DatasetVersion
from torchyard.records.training import Training
from torchyard.train import Checkpoints, train
from torchyard.train.followers import Launch
from torchyard.train.rank import following, leading, reported, take_seat
from torchyard.train.ranks import ALONE, Ranks
from torchyard.yard.building import build_module
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.sources import model_source
from torchyard.yard.tuned import with_arguments
from torchyard.yard.workspace import PROJECT_FILE, Workspace, load_project


def ranks_of(
    opened: OpenProject, featured: Featured, checkpoints: Checkpoints
) -> AbstractContextManager[Ranks]:
    """The processes that a project trains in, as rank 0 sees them, while a block lasts."""
    devices = opened.project.training.devices
    if devices == 1:
        return nullcontext(ALONE)
    launch = Launch(
        command=(sys.executable, "-m", "torchyard.yard.ranks"),
        order={
            "project": str(opened.workspace.folder),
            "source": model_source(opened.loaded),
            "training": to_json(opened.project.training),
            "arguments": dict(opened.arguments),
            "features": str(featured.folder),
            "version": to_json(featured.version),
            "checkpoints": str(checkpoints.folder),
        },
        folder=checkpoints.folder.with_name("ranks"),
    )
    return leading(devices, launch)


def main() -> None:
    """Train along."""
    seat = take_seat(Path(sys.argv[1]), int(sys.argv[2]))
    with reported(seat):
        order = seat.order
        loaded = load_project(Workspace(Path(str(order["project"]))))
        arguments = from_json(dict[str, Json], order["arguments"], where="arguments")
        loaded = with_arguments(loaded, arguments)
        if model_source(loaded) != order["source"]:
            raise BadProject(
                where=PROJECT_FILE,
                found="other code than when training began",
                expected="the same in every process",
                remedy="It was changed just now: run the command again.",
            )
        settings = from_json(Training, order["training"], where="training")
        version = from_json(DatasetVersion, order["version"], where="dataset version")
        featured = Featured(Path(str(order["features"])), version)
        with following(seat) as ranks:
            train(
                lambda: build_module(loaded.project, featured.graph),
                training=featured.examples("train"),
                validation=featured.examples("validation"),
                settings=settings,
                checkpoints=Checkpoints(Path(str(order["checkpoints"]))),
                ranks=ranks,
            )


if __name__ == "__main__":
    main()
