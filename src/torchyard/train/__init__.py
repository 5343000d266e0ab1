"""Train: a short loop one can read, tracked from its first second.

Takes: feature tensors with labels, a module, settings.
Makes: weights, a curve, a recorded run.
Never: touches the test split; decides whether the model is good.
"""

from torchyard.train.environment import capture_environment
from torchyard.train.loop import Examples, Trained, probe, train
from torchyard.train.track import ActiveRun, Tracker
from torchyard.train.weights import load_weights, save_weights

__all__ = [
    "ActiveRun",
    "Examples",
    "Tracker",
    "Trained",
    "capture_environment",
    "load_weights",
    "probe",
    "save_weights",
    "train",
]
