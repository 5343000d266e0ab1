"""What a run tells while it goes on, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import final

from torchyard.core.errors import Stopped
from torchyard.records.training import Epoch


@dataclass(frozen=True)
class Moment:
    """Where a run stands, some times a second.

    ``seconds_left`` is until the last step of the last epoch; it may end sooner.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    rows_per_second: float
    seconds_left: float


class Watch:
    """Told what goes on in a run. This one says nothing and never stops it; others override."""

    def on_moment(self, moment: Moment) -> None:
        """It goes on."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch is finished. An exception raised here ends the run."""

    def on_metrics(self, step: int, values: Mapping[str, float]) -> None:
        """A project's own training has numbers of a step to record, some times a second."""

    def on_note(self, text: str) -> None:
        """Something worth a line happened."""

    def should_stop(self) -> str:
        """Why it should save where it stands and stop; empty when it should go on."""
        return ""


@final
class StopSignals:
    """SIGTERM and SIGINT while a block lasts: the first asks to stop, a second SIGINT interrupts.

    Example:
        >>> with StopSignals.heard() as signals:
        ...     signals.received
        ''
    """

    def __init__(self) -> None:
        self.received = ""

    @classmethod
    @contextmanager
    def heard(cls) -> Iterator[StopSignals]:
        """Listen while the block lasts; in a thread that is not the main one, to nothing."""
        signals = cls()
        if threading.current_thread() is not threading.main_thread():
            yield signals
            return
        kinds = (signal.SIGTERM, signal.SIGINT)
        before = {kind: signal.signal(kind, signals._hear) for kind in kinds}
        try:
            yield signals
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = "Ctrl-C (SIGINT)" if number == signal.SIGINT else "SIGTERM"


def stopped(why: str, *, where: str) -> Stopped:
    """The error that ends a run which was asked to stop, after it saved where it stands."""
    return Stopped(
        where=where,
        found=why,
        expected="training to its end",
        remedy="Everything up to here is kept: run the same command again, and it goes on.",
    )
