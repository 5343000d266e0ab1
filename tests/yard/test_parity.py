"""Training's features against serving's: one bit that differs stops a release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.yard.test_featuring import open_project
from torchyard.core.errors import Refused
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.proof import check_parity


def test_equal_bits_are_counted_and_one_that_differs_is_refused(tmp_path: Path) -> None:
    opened, _ = open_project(tmp_path)
    featured = fit_features(opened, add_data(opened))
    parity = check_parity(opened, featured)
    assert (parity.differing_elements, parity.worst_difference) == (0, 0.0)
    assert parity.elements == 3 * parity.rows * 2  # three orders, two tensors of one value

    stored = featured.folder / "test" / "x.npy"
    values = np.load(stored)
    values[0, 0] = np.nextafter(values[0, 0], np.float32(np.inf))
    np.save(stored, values)
    with pytest.raises(Refused, match=r"found 3 of \d+ feature values that differ.*bit-identical"):
        check_parity(opened, fit_features(opened, featured.version))
