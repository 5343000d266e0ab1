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
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Settings of a training run.

    ``patience`` is in epochs without a better validation loss. Training rows whose tensors take
    more than ``memory_mib`` are shuffled by blocks through a buffer of that size.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a run happened. ``packages`` is the lock of what was installed, name to version."""

    python: str
    platform: str
    processor: str
    cores: int
    memory_gib: float
    accelerator: str
    packages: dict[str, str]
    git_commit: str | None
    git_diff_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One point of the training curve. Losses in nats; seconds of wall time."""

    number: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training run. ``weights_sha256`` is the digest of its safetensors file."""

    id: str
    status: Literal["finished"]
    training: Training
    dataset: str
    features: str
    model_source: str
    parameters: int
    train_rows: int
    validation_rows: int
    curve: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    weights_sha256: str
    environment: Environment
