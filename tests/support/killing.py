"""Processes that train the tiny run, fast to start, so that a test can kill them by the dozen."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.support.tiny import SETTINGS, fit, result_of


def begin(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process that runs a function of a module, forked from a server that has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.killing"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def sit(folder: Path, saving: bool = True) -> None:
    """Train, or go on; leave the digest of the result when it is over."""
    (folder / "begun").touch()
    how = SETTINGS if saving else dataclasses.replace(SETTINGS, checkpoint_seconds=3600)
    trained = fit(folder / "checkpoints", how=how)
    (folder / "result").write_text(f"{result_of(trained)} {trained.resumes}")


def sit_until(folder: Path, module: str, name: str, count: int, after: bool) -> None:
    """As ``sit``, but killed before or after a function is called for the n-th time."""
    kill_at(module, name, count, after=after)
    sit(folder)


def kill_at(module: str, name: str, count: int, *, after: bool) -> None:
    """Kill this process before or after a function of a module is called for the n-th time."""
    import importlib

    *path, last = name.split(".")
    place: Any = importlib.import_module(module)
    for part in path:
        place = getattr(place, part)
    real = getattr(place, last)
    calls = 0

    def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        made = real(*arguments, **more)
        if calls == count and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    setattr(place, last, counted)


def train_project(folder: Path, settings: dict[str, object]) -> None:
    """Train a project, as a script does."""
    from torchyard.yard import Yard

    Yard(folder).train(training=settings)


def train_project_until(
    folder: Path, settings: dict[str, object], module: str, name: str, count: int, after: bool
) -> None:
    """As ``train_project``, but killed as in ``sit_until``."""
    kill_at(module, name, count, after=after)
    train_project(folder, settings)
