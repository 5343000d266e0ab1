"""What a training run was: its features, its settings, its environment, its curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torchyard.core.record import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A declared feature: which inputs go through which operation into which named tensor.

    An input is a raw field by its name, or what another transform makes; ``output`` is empty for a
    transform inside another. ``options`` are plain JSON values.
    """

    output: str
    operation: str
    inputs: tuple[str | Transform, ...]
    options: dict[str, Json] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """The raw fields it reads, directly or through other transforms, each once, in order."""
        names: dict[str, None] = {}
        for item in self.inputs:
            names.update(dict.fromkeys((item,) if isinstance(item, str) else item.fields))
        return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTensor:
    """One output of the feature graph, ``dtype [rows, *shape]``.

    ``cardinality`` is the number of distinct integers in an ``int64`` tensor (an embedding's size),
    0 for ``float32``. ``fields`` are the raw fields it is made from.
    """

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[int, ...]
    cardinality: int
    fields: tuple[str, ...]
    operation: str

    @property
    def width(self) -> int:
        """How many values one row has: the product of ``shape``."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStep:
    """A part of the features that has no ONNX form: the same code runs it in training and serving.

    It reads one raw field and makes one input of the ONNX graph, ``dtype [rows, *shape]``, called
    ``output``. ``tokenize`` turns texts into token numbers: ``options`` holds ``length``,
    ``padding`` and the whole ``tokenizer`` (a Hugging Face ``tokenizers`` file as text).
    ``decode_image`` turns an encoded image into pixels ``[height, width, channels]``: ``options``
    holds ``resize``. A graph's host steps travel in its file's metadata.
    """

    output: str
    field: str
    operation: Literal["tokenize", "decode_image"]
    dtype: Literal["int64", "uint8"]
    shape: tuple[int, ...]
    options: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGraph:
    """A fitted feature graph: the digest of its ONNX file, its raw inputs, its tensors.

    ``inputs`` are raw fields; those of ``host_steps`` enter the ONNX graph through their step.
    """

    digest: str
    inputs: tuple[str, ...]
    tensors: tuple[FeatureTensor, ...]
    fitted_rows: int
    host_steps: tuple[HostStep, ...] = ()

    def __getitem__(self, name: str) -> FeatureTensor:
        """The tensor of that name.

        Raises:
            KeyError: the graph makes no such tensor.
        """
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(f"no feature {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Settings of a training run.

    Attributes:
        max_epochs: epochs at the most.
        batch_size: rows per step of the optimizer, of all devices together.
        learning_rate: the highest that the schedule reaches.
        weight_decay: decoupled from the gradient in ``adamw`` (Loshchilov & Hutter 2019), a part
            of it in ``sgd``.
        clip_norm: the largest norm of all gradients together; None for no limit.
        patience: epochs without a better validation loss before training ends.
        seed: of the weights, the order of rows, and everything else that depends on chance.
        precision: ``32-true``, ``16-mixed`` or ``bf16-mixed``.
        memory_mib: training rows whose tensors take more are shuffled by blocks through a buffer of
            that size.
        optimizer: ``adamw``, or ``sgd`` with a Nesterov momentum of 0.9.
        schedule: how the learning rate goes down after its warm-up: ``cosine`` or ``linear`` to 0
            at the last step of ``max_epochs``, or ``constant``.
        warmup: the share of all steps in which it first goes up from 0, linearly; 0 to 1.
        accumulate: parts that a batch is computed in, one after another, so that it takes less
            memory; their gradients are added up.
        devices: devices that share each batch.
        checkpoint_seconds: time from one checkpoint to the next; it changes no result.
        preflight: whether the module is checked before the first step; it changes no result.
    """

    max_epochs: int = 10
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float | None = 1.0
    patience: int = 3
    seed: int = 0
    precision: str = "32-true"
    memory_mib: int = 2048
    optimizer: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.0
    accumulate: int = 1
    devices: int = 1
    checkpoint_seconds: float = 30.0
    preflight: bool = True


# the check whose rows hold the largest and smallest values that the schema allows
EXTREMES = "extreme but valid rows"
# settings that change no result
IDLE = ("checkpoint_seconds", "preflight")
Way = Literal["loop", "lightning", "fit", "weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a run happened. ``packages`` is the lock of what was installed, name to version.

    ``threads`` are those that one operation may use: sums come out otherwise with another number.
    """

    python: str
    platform: str
    processor: str
    cores: int
    memory_gib: float
    accelerator: str
    packages: dict[str, str]
    git_commit: str | None
    git_diff_sha256: str | None
    threads: int = 1

    @property
    def hardware(self) -> dict[str, str]:
        """What the bits may depend on beside the packages, as texts by name."""
        names = ("platform", "processor", "cores", "accelerator", "threads")
        return {name: str(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One point of the training curve. Losses as trained on; seconds of wall time."""

    number: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check before a run found. ``warn`` does not stop it, ``fail`` does."""

    name: str
    outcome: Literal["pass", "warn", "fail"]
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The search that a run's settings come from: how many were tried, and how they ended.

    A result chosen among many is better than it would be again: read its validation loss so.
    ``chosen`` are the settings of trial number ``trial``, ``value`` its validation loss.
    """

    study: str
    trial: int
    tried: int
    pruned: int
    failed: int
    value: float
    chosen: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training run. ``weights_sha256`` is the digest of its safetensors file.

    Attributes:
        id: MLflow's.
        status: only finished runs have a record.
        way: who trained: torchyard's loop, Lightning's ``Trainer``, the project's own ``fit``, or
            nobody here (``weights`` were given).
        training: the settings.
        dataset: digest of the dataset version.
        features: digest of the feature graph.
        model_source: digest of the code the model is built by.
        parameters: how many the module has.
        train_rows: learnt from.
        validation_rows: that the epoch was chosen by.
        curve: its epochs; none where weights were given.
        best_epoch: the one whose weights were kept; 0 where there is no curve.
        steps: of the optimizer.
        resumes: how many times it went on from a checkpoint.
        seconds: of wall time, all sittings together.
        weights_sha256: digest of the weights.
        environment: where it happened.
        checks: what was looked at before the first step.
        notes: what was worth a line: operations without a deterministic kernel, spikes, plateaus.
        tuned: the search that its settings come from.
    """

    id: str
    status: Literal["finished"]
    way: Way = "loop"
    training: Training
    dataset: str
    features: str
    model_source: str
    parameters: int
    train_rows: int
    validation_rows: int
    curve: tuple[Epoch, ...]
    best_epoch: int
    steps: int = 0
    resumes: int = 0
    seconds: float
    weights_sha256: str
    environment: Environment
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    tuned: Tuned | None = None

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights were kept."""
        return self.curve[self.best_epoch - 1] if self.curve else None

    @property
    def losses(self) -> dict[str, float]:
        """The losses of the best epoch, by name; none where weights were given."""
        best = self.best
        if best is None:
            return {}
        return {"train_loss": best.train_loss, "validation_loss": best.validation_loss}
