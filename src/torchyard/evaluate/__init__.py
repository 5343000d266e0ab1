"""How good a model is, how sure that is, and whether it is good enough.

Takes: a task, probabilities and labels as arrays; gates, reports and variants as records.
Makes: reports with intervals, calibration, baselines, verdicts.
Never: touches a file, a model or a clock; gives a number without saying how sure it is.
"""

from torchyard.evaluate.agreement import agreement
from torchyard.evaluate.calibrating.calibration import (
    apply_calibration,
    fit_calibration,
    label_scale,
)
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.judging.gate_checks import check_gate, check_gates
from torchyard.evaluate.judging.gates import judge, passes, refusal
from torchyard.evaluate.judging.operating import check_operating, choose_threshold, judge_operating
from torchyard.evaluate.meter import Meter
from torchyard.evaluate.report import evaluate
from torchyard.evaluate.resampling.bootstrap import measure
from torchyard.evaluate.resampling.differences import differences_against, paired_difference
from torchyard.evaluate.rivals.baselines import fit_linear, fit_majority
from torchyard.evaluate.rivals.last_value import predict_last_value
from torchyard.evaluate.rivals.rivals import rival_lines, unbeaten
from torchyard.evaluate.rivals.trees import fit_trees
from torchyard.evaluate.selective import measure_selective, outside_share

__all__ = [
    "Meter",
    "Sample",
    "agreement",
    "apply_calibration",
    "check_gate",
    "check_gates",
    "check_operating",
    "choose_threshold",
    "differences_against",
    "evaluate",
    "fit_calibration",
    "fit_linear",
    "fit_majority",
    "fit_trees",
    "judge",
    "judge_operating",
    "label_scale",
    "measure",
    "measure_selective",
    "outside_share",
    "paired_difference",
    "passes",
    "predict_last_value",
    "refusal",
    "rival_lines",
    "unbeaten",
]
