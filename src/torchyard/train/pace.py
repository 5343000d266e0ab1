"""How fast a run goes, told to its watch some times a second."""

from __future__ import annotations

import time
from typing import final

from torchyard.records.training import Training
from torchyard.train.standing import Standing
from torchyard.train.watch import Moment, Watch

_BETWEEN_MOMENTS = 0.5


@final
class Pace:
    """The speed of this sitting.

    Args:
        watch: who is told.
        settings: of the run.
        batches: steps of an epoch.
        done: steps that earlier sittings did.
    """

    def __init__(self, watch: Watch, settings: Training, batches: int, done: int) -> None:
        self._watch = watch
        self._settings = settings
        self._batches = batches
        self._first = done
        self._started = self._told = time.monotonic()

    def tell(self, standing: Standing) -> None:
        """Tell where the run stands, unless that was told just now."""
        now, done = time.monotonic(), standing.trace.steps
        if now - self._told < _BETWEEN_MOMENTS or done <= self._first:
            return
        self._told = now
        step_seconds = (now - self._started) / (done - self._first)
        self._watch.on_moment(Moment(
            epoch=standing.epoch, epochs=self._settings.max_epochs, batch=standing.batch,
            batches=self._batches, loss=standing.trace.losses[-1],
            rows_per_second=self._settings.batch_size / step_seconds,
            seconds_left=(self._batches * self._settings.max_epochs - done) * step_seconds,
        ))  # fmt: skip
