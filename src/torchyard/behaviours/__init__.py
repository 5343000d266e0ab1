"""What a model does when rows are changed, beside what it must do.

Takes: a declared behaviour, rows of the test part as a frame, whoever answers them.
Makes: results with the share of rows that fail, and the rows.
Never: opens a model or a file; asks about a row that no request could be; draws without a seed.
"""

from torchyard.behaviours.trial import Trial
from torchyard.behaviours.trying import try_behaviour

__all__ = ["Trial", "try_behaviour"]
