"""Stages: work that is skipped when its inputs have not changed.

What a stage makes lies in ``stages/<stage>/<digest of its inputs>/``, published by one rename when
it is whole. A stage that failed leaves nothing; what a killed one left goes when it runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torchyard.core.digest import digest_json, short
from torchyard.core.files import clear_abandoned, discard_folder, publish_folder, staged_folder
from torchyard.core.record import Json
from torchyard.version import __version__


class Progress(Protocol):
    """Told what is going on. The command line draws it; a script may pass ``Silent()``."""

    def begin(self, stage: str) -> None:
        """A stage starts."""

    def note(self, text: str) -> None:
        """Something worth a line happened inside the stage."""

    def tick(self, text: str) -> None:
        """How far the stage is; the next one replaces it."""

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        """The stage is done, or was skipped because its inputs have not changed."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, stage: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def tick(self, text: str) -> None:
        """Say nothing."""

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        """Say nothing."""


class Stages:
    """Runs stages in a folder and remembers what each one made."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self.progress = progress

    def run(
        self,
        stage: str,
        inputs: Json,
        make: Callable[[Path], None],
        summarize: Callable[[Path], str],
        *,
        still_holds: Callable[[Path], bool] = lambda folder: True,
    ) -> Path:
        """The folder of a stage's results, made now unless these inputs were seen before.

        Args:
            stage: its name.
            inputs: everything the results depend on, as JSON; this version of torchyard is added.
            make: writes the results into an empty folder.
            summarize: one line about the results, from their folder.
            still_holds: False when what results refer to is gone, so that they are made again.
        """
        started = time.monotonic()
        self.progress.begin(stage)
        target = self._folder / stage / stage_key(inputs)
        skipped = target.exists() and still_holds(target)
        if not skipped:
            # only what does not hold: another process may have made it since
            if target.exists() and not still_holds(target):
                discard_folder(target)
            clear_abandoned(self._folder / stage)
            with staged_folder(self._folder / stage) as stage_folder:
                make(stage_folder)
                publish_folder(stage_folder, target)
        self.progress.end(
            stage, summarize(target), seconds=time.monotonic() - started, skipped=skipped
        )
        return target


def stage_key(inputs: Json) -> str:
    """What a stage's results are named by: a digest of its inputs and of this torchyard."""
    return short(digest_json({"torchyard": __version__, "inputs": inputs}))
