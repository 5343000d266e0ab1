"""Train: a short loop one can read, tracked from its first second.

Takes: feature tensors with labels, a module, settings.
Makes: weights, a curve, a recorded run.
Never: touches the test split; decides whether the model is good.
"""

from torchyard.train.environment import capture_environment
from torchyard.train.feed import Examples, StoredExamples, Table
from torchyard.train.loop import Trained, predict_logits, probe, train
from torchyard.train.stored import ArrayWriter, StoredArray
from torchyard.train.track import ActiveRun, Tracker
from torchyard.train.weights import load_weights, save_weights

__all__ = [
    "ActiveRun",
    "ArrayWriter",
    "Examples",
    "StoredArray",
    "StoredExamples",
    "Table",
    "Tracker",
    "Trained",
    "capture_environment",
    "load_weights",
    "predict_logits",
    "probe",
    "save_weights",
    "train",
]
