"""Error clusters: texts or pictures that are alike, and that are answered wrongly often.

Rows are placed by what they hold alone: texts by their words (TF-IDF, and its largest singular
directions: latent semantic analysis, Deerwester et al. 1990), pictures by their largest principal
components. They are parted by k-means, and only then is looked at who was answered wrongly, so that
a cluster can be tested on the same rows: exactly (Fisher 1935), one-sided, corrected for the number
of clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Bools, Floats, Indices
from torchyard.evaluate.resampling.intervals import CONFIDENCE
from torchyard.records.measures import Measured
from torchyard.records.weaknesses import ErrorCluster

MOST_ROWS = 4_000
MIN_ROWS = 20
MOST_PICTURES = 6
_ROWS_PER_CLUSTER = 50
_MOST_CLUSTERS = 20
_DIRECTIONS = 32
_MOST_WORDS = 6
_VOCABULARY = 5_000

Pixels = npt.NDArray[np.uint8]


def cluster_texts(
    field: str, texts: Sequence[str], wrong: Bools, *, seed: int, fields: int = 1
) -> tuple[ErrorCluster, ...]:
    """Texts that are alike and answered wrongly more often than the others, beyond chance.

    Args:
        field: whose texts.
        texts: of some rows, a few thousand at most, none of them empty.
        wrong: which rows are answered wrongly, ``bool [rows]``.
        seed: of the clusters.
        fields: how many fields are looked at, for which is corrected, too.

    Returns:
        The worst first, with the words that set each apart; none where there are too few rows.

    Example:
        >>> texts = ["my parcel is late"] * 60 + ["a refund for these shoes"] * 60
        >>> (found,) = cluster_texts("note", texts, np.arange(120) < 50, seed=0)
        >>> found.rows, found.errors, "parcel" in found.words
        (60, 50, True)
    """
    if len(texts) < 2 * MIN_ROWS:
        return ()
    found = _words_of(texts)
    if found is None:
        return ()
    matrix, names = found
    labels = _part(_texts_placed(matrix, seed), seed)

    def apart_by(cluster: _Cluster) -> tuple[str, ...]:
        inside = labels == cluster.label
        apart = np.asarray(matrix[inside].mean(axis=0) - matrix[~inside].mean(axis=0)).ravel()
        order = np.argsort(-apart, kind="stable")[:_MOST_WORDS]
        return tuple(names[one] for one in order if apart[one] > 0)

    clusters = _bad_clusters(labels, wrong, fields)
    return tuple(
        ErrorCluster(field=field, kind="text", words=apart_by(one), **one.measured)
        for one in clusters
    )


def cluster_pictures(
    field: str,
    pixels: Pixels,
    wrong: Bools,
    *,
    show: Callable[[Indices], tuple[str, ...]],
    seed: int,
    fields: int = 1,
) -> tuple[ErrorCluster, ...]:
    """Pictures that are alike and answered wrongly more often than the others, beyond chance.

    Args:
        field: whose pictures.
        pixels: of some rows, a few thousand at most, made small: ``uint8 [rows, ...]``.
        wrong: which rows are answered wrongly, ``bool [rows]``.
        show: makes small PNG files, base64, of rows by their number: at most six are asked for.
        seed: of the clusters.
        fields: how many fields are looked at, for which is corrected, too.

    Returns:
        The worst first; none where there are too few rows.
    """
    if len(pixels) < 2 * MIN_ROWS:
        return ()
    labels = _part(_pictures_placed(pixels, seed), seed)
    return tuple(
        ErrorCluster(
            field=field,
            kind="image",
            pictures=show(np.flatnonzero((labels == one.label) & wrong)[:MOST_PICTURES]),
            **one.measured,
        )
        for one in _bad_clusters(labels, wrong, fields)
    )


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A cluster that is worse; ``measured`` are the numbers of its record."""

    label: int
    p_value: float
    measured: dict[str, Any]


def _words_of(texts: Sequence[str]) -> tuple[Any, list[str]] | None:
    """TF-IDF ``[rows, words]`` and the words; None where no word is in several texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(
        max_features=_VOCABULARY, min_df=5, max_df=0.6, sublinear_tf=True, strip_accents=None
    )
    try:
        matrix = words.fit_transform(texts)
    except ValueError:  # its only one on texts: nothing is left of their words
        return None
    return matrix, words.get_feature_names_out().tolist()


def _texts_placed(matrix: Any, seed: int) -> Floats:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    directions = min(_DIRECTIONS, *(side - 1 for side in matrix.shape))
    if directions < 1:
        return np.asarray(matrix.toarray())
    with _alone(), warnings.catch_warnings():
        # texts that are all the same have no variance to explain
        warnings.simplefilter("ignore", RuntimeWarning)
        placed = TruncatedSVD(directions, random_state=seed).fit_transform(matrix)
    return np.asarray(normalize(placed))


def _pictures_placed(pixels: Pixels, seed: int) -> Floats:
    from sklearn.decomposition import PCA

    flat = pixels.reshape(len(pixels), -1) / 255.0
    with _alone(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        placed = PCA(min(_DIRECTIONS, *flat.shape), random_state=seed).fit_transform(flat)
    return np.asarray(placed, dtype=np.float64)


def _part(points: Floats, seed: int) -> npt.NDArray[np.int64]:
    """The cluster of each row: one for fifty rows, from 2 to 20 of them."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    clusters = min(_MOST_CLUSTERS, max(2, len(points) // _ROWS_PER_CLUSTER))
    with _alone(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        parted = KMeans(clusters, n_init=3, random_state=seed).fit(points)
    return np.asarray(parted.labels_, dtype=np.int64)


def _alone() -> AbstractContextManager[Any]:
    """One thread: sums of several come in any order, and the same rows must make the same clusters.

    For matrices as small as these it is faster, too: threads that a busy machine makes wait for one
    another took five times as long.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _bad_clusters(labels: npt.NDArray[np.int64], wrong: Bools, fields: int) -> list[_Cluster]:
    """Clusters that are worse than the other rows beyond chance, the surest first."""
    rows = np.bincount(labels)
    errors = np.bincount(labels, weights=wrong).astype(np.int64)
    large = np.flatnonzero((rows >= MIN_ROWS) & (rows <= labels.size - MIN_ROWS))
    family = max(1, large.size) * fields
    found = [
        _judged(int(one), int(errors[one]), int(rows[one]), wrong, family=family) for one in large
    ]
    bad = [one for one in found if one.p_value < 1.0 - CONFIDENCE]
    return sorted(bad, key=lambda one: (-one.measured["error_rate"].low, one.label))


def _judged(label: int, errors: int, rows: int, wrong: Bools, *, family: int) -> _Cluster:
    from scipy.stats import beta, hypergeom

    total, every = int(wrong.sum()), int(wrong.size)
    tail = (1.0 - CONFIDENCE) / 2.0 / family
    rate = Measured(
        value=errors / rows,
        low=float(beta.ppf(tail, errors, rows - errors + 1)) if errors else 0.0,
        high=float(beta.isf(tail, errors + 1, rows - errors)) if errors < rows else 1.0,
        rows=rows,
        method=f"exact binomial (Clopper-Pearson), for {family} clusters (Bonferroni)",
    )
    measured = {
        "rows": rows,
        "errors": errors,
        "error_rate": rate,
        "others": (total - errors) / (every - rows),
    }
    chance = float(hypergeom.sf(errors - 1, every, total, rows))
    return _Cluster(label, min(1.0, chance * family), measured)
