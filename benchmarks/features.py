"""A million rows into feature tensors: the feature graph and scikit-learn's ColumnTransformer.

The same work on the same rows, interleaved: ten numbers standardized with missing ones at 0 and
flagged, four categories as integers with unknown and missing ones apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

import torchyard as ty
from torchyard.features import Encoder, columns_from_frame, fit_graph

ROWS, ROUNDS = 1_000_000, 5
NUMBERS = [f"n{place}" for place in range(10)]
TEXTS = [f"t{place}" for place in range(4)]
CHUNK = 100_000

SCHEMA = ty.Schema(
    **{name: ty.number(optional=True) for name in NUMBERS},
    **{name: ty.category(optional=True) for name in TEXTS},
)
FEATURES = ty.Features(
    numbers=ty.standardize(*NUMBERS), **{name: ty.lookup(name) for name in TEXTS}
)


def rows() -> pl.DataFrame:
    """A tenth of every field missing; 20, 200, 2,000 and 20,000 categories."""
    draw = np.random.default_rng(0)

    def gaps(values: np.ndarray) -> pl.Series:
        present = draw.random(ROWS) >= 0.1
        return pl.select(pl.when(pl.Series(present)).then(pl.Series(values))).to_series()

    return pl.DataFrame(
        {name: gaps(draw.normal(100, 30, ROWS)) for name in NUMBERS}
        | {
            name: gaps(np.char.add("value ", draw.integers(0, 20 * 10**k, ROWS).astype("U7")))
            for k, name in enumerate(TEXTS)
        }
    )


def peer() -> ColumnTransformer:
    """The same in scikit-learn."""
    numbers = make_pipeline(
        StandardScaler(), SimpleImputer(strategy="constant", fill_value=0, add_indicator=True)
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("codes", codes, TEXTS)])


def main() -> None:
    """Fit and encode in turns; print seconds and ratios."""
    frame = rows()
    # what scikit-learn is fastest with: doubles with NaN, Python's own strings
    pandas = frame.to_pandas().astype(dict.fromkeys(TEXTS, object))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.onnx"

        def fit_ours() -> None:
            fit_graph(FEATURES, SCHEMA, lambda: frame.iter_slices(CHUNK), path=path)

        fit_ours()
        encoder, transformer = Encoder(path), peer().fit(pandas)
        check_alike(encoder.encode(columns_from_frame(SCHEMA, frame[:CHUNK])), transformer, pandas)
        compare("fitting", fit_ours, lambda: peer().fit(pandas))
        compare(
            "encoding",
            lambda: encoder.encode(columns_from_frame(SCHEMA, frame)),
            lambda: transformer.transform(pandas),
        )


def check_alike(ours: dict[str, np.ndarray], transformer: ColumnTransformer, pandas) -> None:  # type: ignore[no-untyped-def]
    """The two must have done the same work, or their times say nothing."""
    theirs = transformer.transform(pandas[:CHUNK])
    np.testing.assert_allclose(ours["numbers"], theirs[:, :20], atol=1e-5)
    for place, name in enumerate(TEXTS):
        found = np.unique(np.stack([ours[name], theirs[:, 20 + place].astype(int)]), axis=1)
        assert found.shape[1] == len(np.unique(ours[name])), "codes are one to one"


def compare(what: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Time both in turns."""
    times = np.array([[seconds(ours), seconds(theirs)] for _ in range(ROUNDS)])
    own, other = np.median(times, axis=0)
    ratios = times[:, 1] / times[:, 0]
    print(
        f"{what} {ROWS:,} rows: {own:.2f} s, scikit-learn {other:.2f} s, {np.median(ratios):.1f} "
        f"times as fast (rounds from {ratios.min():.1f} to {ratios.max():.1f}, {ROUNDS} rounds)"
    )


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
