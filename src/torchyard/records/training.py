"""What a training run was: its features, its settings, its environment, its curve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torchyard.core.record import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A declared feature: which fields go through which operation into which named tensor."""

    output: str
    operation: str
    fields: tuple[str, ...]
    options: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTensor:
    """One output of the feature graph: ``float32 [rows, width]`` or ``int64 [rows]``.

    ``cardinality`` is the number of distinct integers for ``int64`` (an embedding's size), else 0.
    """

    name: str
    dtype: Literal["float32", "int64"]
    width: int
    cardinality: int
    fields: tuple[str, ...]
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGraph:
    """A fitted feature graph: the digest of its ONNX file, its raw inputs, its tensors."""

    digest: str
    inputs: tuple[str, ...]
    tensors: tuple[FeatureTensor, ...]
    fitted_rows: int

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
    """Settings of a training run. ``patience`` is in epochs without a better validation loss."""

    max_epochs: int = 10
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float | None = 1.0
    patience: int = 3
    seed: int = 0
    precision: str = "32-true"


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
