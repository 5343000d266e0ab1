"""Features: one fitted ONNX graph that training and serving both run.

Takes: a training split and declared transforms; rows or frames.
Makes: a fitted feature graph; raw columns; feature tensors.
Never: fits on anything but the training split; computes a feature outside the graph and its host
steps.
"""

from torchyard.features.columns import Columns, columns_from_frame, columns_from_rows
from torchyard.features.encode import Encoder, Tensor, difference
from torchyard.features.fit import fit_graph
from torchyard.features.host import HostSteps

__all__ = [
    "Columns",
    "Encoder",
    "HostSteps",
    "Tensor",
    "columns_from_frame",
    "columns_from_rows",
    "difference",
    "fit_graph",
]
