"""How ready a model is for production, from evidence alone.

Takes: what is known of a project: its declarations, releases, events, reports on its traffic.
Makes: the 28 answers of the ML Test Score, and the score.
Never: asks a person, or believes a checkbox.
"""

from torchyard.readiness.known import Known, Monitoring, ReleaseFacts
from torchyard.readiness.score import score

__all__ = ["Known", "Monitoring", "ReleaseFacts", "score"]
