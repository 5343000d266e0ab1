"""The declarations a user writes in ``project.py``.

Takes: plain Python values and the user's module.
Makes: one checked ``Project``.
Never: reads data, imports torch, touches the disk (but for a tokenizer that a project names).
"""

from torchyard.project.abstaining import Abstain
from torchyard.project.ageing import Staleness
from torchyard.project.behaviours import adversarial, directional, invariant, robust
from torchyard.project.codes import (
    bucket,
    cross,
    hash_bucket,
    lookup,
    multi_hot,
)
from torchyard.project.features import (
    Features,
    custom,
    cyclic_time,
    passthrough,
    pixels,
    tokenize,
)
from torchyard.project.fields import (
    Schema,
    boolean,
    category,
    id,
    image,
    integer,
    number,
    tensor,
    text,
    timestamp,
)
from torchyard.project.gates import gate, waiver
from torchyard.project.known_answers import behaviour, minimum
from torchyard.project.numbers import (
    calendar_time,
    clip,
    elapsed,
    impute,
    log,
    numbers,
    quantile,
    robust_scale,
    standardize,
)
from torchyard.project.operating import best, cheapest
from torchyard.project.project import Project
from torchyard.project.search import Search, choice, log_uniform, uniform, whole
from torchyard.project.slicing import slice
from torchyard.project.tasks import (
    binary_classification,
    multiclass_classification,
    multilabel_classification,
    regression,
    split_by_column,
    split_by_group,
    split_by_hash,
    split_by_time,
    split_stratified,
)

__all__ = [
    "Abstain",
    "Features",
    "Project",
    "Schema",
    "Search",
    "Staleness",
    "adversarial",
    "behaviour",
    "best",
    "binary_classification",
    "boolean",
    "bucket",
    "calendar_time",
    "category",
    "cheapest",
    "choice",
    "clip",
    "cross",
    "custom",
    "cyclic_time",
    "directional",
    "elapsed",
    "gate",
    "hash_bucket",
    "id",
    "image",
    "impute",
    "integer",
    "invariant",
    "log",
    "log_uniform",
    "lookup",
    "minimum",
    "multi_hot",
    "multiclass_classification",
    "multilabel_classification",
    "number",
    "numbers",
    "passthrough",
    "pixels",
    "quantile",
    "regression",
    "robust",
    "robust_scale",
    "slice",
    "split_by_column",
    "split_by_group",
    "split_by_hash",
    "split_by_time",
    "split_stratified",
    "standardize",
    "tensor",
    "text",
    "timestamp",
    "tokenize",
    "uniform",
    "waiver",
    "whole",
]
