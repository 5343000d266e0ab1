"""Handwritten digits, 8 x 8 pixels: 1,797 pictures that come with scikit-learn."""

import numpy as np
import polars as pl

CLASSES = [str(digit) for digit in range(10)]
VALIDATION, TEST = 1_200, 1_500  # the first row of each part


def digits():
    """Every picture with its label, and the part it is for."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    part = np.repeat(["train", "validation", "test"],
                     [VALIDATION, TEST - VALIDATION, len(labels) - TEST])  # fmt: skip
    return pl.DataFrame({
        "pixels": pl.Series(pictures.reshape(-1, 8, 8).astype(np.float32)),
        "part": part,
        "digit": labels.astype(str),
    })  # fmt: skip
