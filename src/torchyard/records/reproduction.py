"""A run that was trained again from its record: whether the same came of it, and what differs."""

from __future__ import annotations

from dataclasses import dataclass, field

from torchyard.records.measures import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One thing that is not as it was; None where it was not there."""

    recorded: str | None
    now: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDifference:
    """What differs between where a run happened and where it was trained again.

    Attributes:
        python: versions of the interpreter; None when they are equal.
        packages: versions by name.
        hardware: ``platform``, ``processor``, ``cores``, ``accelerator``, ``threads``.
    """

    python: Changed | None = None
    packages: dict[str, Changed] = field(default_factory=dict)
    hardware: dict[str, Changed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The first step and tensor that differ.

    Attributes:
        step: the first step that went another way, from 1; 0 when the untrained modules differ.
        tensor: the first tensor of the module that is known to differ; empty when only a loss does.
        seen_after: how many steps were done when that tensor was compared.
        losses: the recorded loss of that step and the new one, in nats; None where they are equal.
        text: all of this in words.
    """

    step: int
    tensor: str
    seen_after: int
    losses: tuple[float, float] | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of both runs.

    Attributes:
        recorded: of the run as it was recorded; None where it has none.
        now: of the run that was trained again.
        difference: the mean of ``now`` less ``recorded`` over the same rows, with its interval;
            None when the weights are equal, or those that were recorded cannot be asked any more.
        within: whether that interval holds 0, or the difference is below a thousandth of the
            metric; None where there is no difference to judge.
    """

    recorded: float | None
    now: float | None
    difference: Measured | None = None
    within: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of training a run again.

    Attributes:
        run: the id of the run that was recorded.
        identical: whether the digests of the weights are equal.
        first_difference: where the runs parted; None when they did not, or nothing shows where.
        environment: what differs of it, and of the hardware.
        inputs: what the run was trained from and is not equal: ``features`` and ``code``, by their
            digests.
        weights_sha256: both digests of the weights.
        metrics: losses of both runs, in nats, by name.
        trained_in: ``here``, or the name of the folder in ``.torchyard/environments/``.
    """

    run: str
    identical: bool
    first_difference: Parting | None
    environment: EnvironmentDifference
    inputs: dict[str, Changed]
    weights_sha256: Changed
    metrics: dict[str, Compared]
    trained_in: str
