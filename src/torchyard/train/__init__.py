"""Train: a short loop one can read, tracked from its first second.

Takes: feature tensors with labels, a module, settings.
Makes: weights, a curve, a recorded run.
Never: touches the test split; decides whether the model is good.
"""

from torchyard.train.checkpoints import Checkpoints
from torchyard.train.environment import capture_environment
from torchyard.train.feed import Examples, StoredExamples, Table
from torchyard.train.fitting import Fitting
from torchyard.train.given import digest_weights, train_by_weights
from torchyard.train.lightning_module import train_lightning
from torchyard.train.loop import train
from torchyard.train.own_fit import train_by_fit
from torchyard.train.predict import predict_logits
from torchyard.train.probe import probe
from torchyard.train.standing import Trained
from torchyard.train.stored import ArrayWriter, StoredArray
from torchyard.train.trace import Trace, first_difference
from torchyard.train.track import ActiveRun, Tracker
from torchyard.train.watch import Moment, StopSignals, Watch
from torchyard.train.weights import load_weights, save_weights

__all__ = [
    "ActiveRun",
    "ArrayWriter",
    "Checkpoints",
    "Examples",
    "Fitting",
    "Moment",
    "StopSignals",
    "StoredArray",
    "StoredExamples",
    "Table",
    "Trace",
    "Tracker",
    "Trained",
    "Watch",
    "capture_environment",
    "digest_weights",
    "first_difference",
    "load_weights",
    "predict_logits",
    "probe",
    "save_weights",
    "train",
    "train_by_fit",
    "train_by_weights",
    "train_lightning",
]
