"""How good a model is, how sure that is, and whether it is good enough.

Takes: a task, probabilities and labels as arrays; gates, reports and variants as records.
Makes: reports with intervals, calibration, baselines, verdicts.
Never: touches a file, a model or a clock; gives a number without saying how sure it is.
"""

from torchyard.evaluate.agreement import agreement
from torchyard.evaluate.baselines import fit_linear, fit_majority
from torchyard.evaluate.bootstrap import measure, paired_difference
from torchyard.evaluate.calibration import apply_calibration, fit_calibration, label_scale
from torchyard.evaluate.gate_checks import check_gate, check_gates
from torchyard.evaluate.gates import judge, passes, refusal
from torchyard.evaluate.report import evaluate
from torchyard.evaluate.sample import Sample

__all__ = [
    "Sample",
    "agreement",
    "apply_calibration",
    "check_gate",
    "check_gates",
    "evaluate",
    "fit_calibration",
    "fit_linear",
    "fit_majority",
    "judge",
    "label_scale",
    "measure",
    "paired_difference",
    "passes",
    "refusal",
]
