"""What a process of another rank runs in tests: the tiny run, with a fault if it is told so."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.support.tiny import MODULES, fit
from torchyard.core.errors import BadModel
from torchyard.core.record import from_json
from torchyard.records.training import Training
from torchyard.train import Watch
from torchyard.train.rank import following, reported, take_seat


class Faulty(Watch):
    """Fails at its third step, in the way it is told."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.steps = 0

    def should_stop(self) -> str:
        self.steps += 1
        if self.steps == 3 and self.fault == "killed":
            print("the last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps == 3 and self.fault == "refuses":
            raise BadModel(where="step 3", found="a whim", expected="reason", remedy="Wait.")
        if self.steps == 3 and self.fault == "raises":
            raise ZeroDivisionError("a fault of the program")
        return ""


def main() -> None:
    seat = take_seat(Path(sys.argv[1]), int(sys.argv[2]))
    order = seat.order
    fault = str(order["fault"])
    with reported(seat):
        if fault == "dies early":
            raise BadModel(where="the start", found="a whim", expected="reason", remedy="Wait.")
        if fault == "never joins":
            Path(str(order["checkpoints"])).with_name("alive").write_text(str(os.getpid()))
            time.sleep(600)
        settings = from_json(Training, order["training"], where="training")
        with following(seat) as ranks:
            fit(
                Path(str(order["checkpoints"])), how=settings, watch=Faulty(fault),
                build=MODULES[str(order["module"])], ranks=ranks,
            )  # fmt: skip


if __name__ == "__main__":
    main()
