"""Optimize: the same model as several files, each one measured.

Takes: a trained module, the feature graph, a calibration.
Makes: variants from raw fields to calibrated answer, with latency and size.
Never: chooses one that has not been judged; lets a failed build stop the others.
"""

from torchyard.optimize.build import Candidate, build_candidates
from torchyard.optimize.measure import measure
from torchyard.optimize.score import score

__all__ = ["Candidate", "build_candidates", "measure", "score"]
