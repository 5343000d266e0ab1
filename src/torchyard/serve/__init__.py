"""Serve: answers, a prediction log, metrics.

Takes: sealed releases, channel events, requests.
Makes: answers over HTTP, a prediction log, a label log, metrics.
Never: imports torch, MLflow or a training room; serves what its golden requests do not prove.
"""

from torchyard.serve.engine import replay
from torchyard.serve.settings import Settings
from torchyard.serve.supervisor import supervise

__all__ = ["Settings", "replay", "supervise"]
