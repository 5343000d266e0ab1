"""The arithmetic under the leak checks: areas, associations, overlaps, samples."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from torchyard.data.leaks.alone import macro_auroc
from torchyard.data.leaks.overlap import Classes, KeysByPart, judge
from torchyard.data.leaks.sample import SmallestDigests
from torchyard.data.leaks.trend import cramers_v

KEYS = st.lists(st.integers(0, 12), max_size=40)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_area_is_that_of_scikit_learn(classes: int) -> None:
    random = np.random.default_rng(classes)
    fitted = random.integers(0, 30, (9, classes))
    judged = random.integers(0, 9, (9, classes))
    rates = (fitted + 10 * fitted.sum(0) / fitted.sum()) / (fitted.sum(1, keepdims=True) + 10)
    bins, codes = (np.repeat(part.ravel(), judged.ravel()) for part in np.indices(judged.shape))
    areas = [roc_auc_score(codes == code, rates[bins, code]) for code in range(classes)]
    assert macro_auroc(fitted, judged) == pytest.approx(np.mean(areas), abs=1e-12)


def test_too_few_rows_of_a_class_give_no_area() -> None:
    fitted = np.array([[90, 10], [10, 90]])
    assert macro_auroc(fitted, np.array([[9, 0], [0, 9]])) is None
    assert macro_auroc(fitted, np.array([[10, 0], [0, 10]])) == 1.0


def test_association_is_one_when_one_follows_from_the_other_and_unbiased_when_not() -> None:
    assert cramers_v(np.diag([500.0, 500.0])) == pytest.approx(1.0, abs=0.01)
    random = np.random.default_rng(0)
    apart = [cramers_v(random.multinomial(300, [0.5, 0.5], 10).astype(float)) for _ in range(50)]
    assert np.mean(np.square(apart)) < 1e-3  # without the correction 0.003
    assert cramers_v(np.zeros((0, 2))) == 0.0
    assert cramers_v(np.array([[5.0, 5.0]])) == 0.0


@settings(deadline=None, max_examples=60)
@given(train=KEYS, validation=KEYS, test=KEYS, size=st.integers(1, 40))
def test_overlaps_are_those_of_plain_counting(
    train: list[int], validation: list[int], test: list[int], size: int
) -> None:
    lists = [train, validation, test]
    keys = np.array([key for part in lists for key in part], dtype=np.uint64)
    parts = np.repeat(np.arange(3), [len(part) for part in lists])
    kept = KeysByPart()
    for at in range(0, len(keys), size):
        here = slice(at, at + size)
        kept.add(keys[here], parts[here])
    present = [[key for key in part if key] for part in lists]
    for overlap in kept.overlaps():
        small = present[overlap.smaller]
        large = present[next(place for place in overlap.places if place != overlap.smaller)]
        assert overlap.checked == len(small) <= len(large)
        assert overlap.rows == sum(key in large for key in small)
        assert overlap.keys.tolist() == sorted(set(small) & set(large))
        again = sum(large.count(key) > 1 for key in large)
        assert overlap.chance == pytest.approx(again / max(len(large), 1))


def test_shared_keys_with_two_classes_are_contradictions() -> None:
    kept = KeysByPart()
    keys = np.array([1, 2, 3, 1, 2, 3], dtype=np.uint64)
    parts, codes = np.array([0, 0, 0, 2, 2, 2]), np.array([0, 1, -1, 1, 1, 0])
    kept.add(keys, parts)
    found = {}
    for overlap in kept.overlaps():
        classes = Classes(overlap)
        for half in (slice(0, 4), slice(4, 6)):
            classes.add(keys[half], parts[half], codes[half])
        found[overlap.places] = classes.contradictions()
    assert found == {(0, 1): 0, (0, 2): 1, (1, 2): 0}


@pytest.mark.parametrize(
    ("share", "chance", "verdict"),
    [
        (0.004, 0.0, None),
        (0.03, 0.0, "warn"),
        (0.20, 0.0, "fail"),
        (0.20, 0.19, "warn"),
        (0.95, 0.60, None),
    ],
)
def test_copies_are_told_from_coincidence(share: float, chance: float, verdict: str) -> None:
    assert judge(share=share, checked=2000, chance=chance) == verdict


def test_repeats_that_tell_nothing_count_beyond_chance_alone() -> None:
    assert judge(share=0.10, checked=9000, chance=0.09, repeats_tell=False) is None
    assert judge(share=0.10, checked=9000, chance=0.06, repeats_tell=False) == "warn"
    assert judge(share=0.20, checked=9000, chance=0.06, repeats_tell=False) == "fail"


def test_few_shared_rows_are_no_leak() -> None:
    assert judge(share=0.4, checked=10, chance=0.0) is None


@settings(deadline=None, max_examples=40)
@given(
    digests=st.lists(st.integers(0, 50), max_size=60),
    most=st.integers(1, 20),
    size=st.integers(1, 60),
)
def test_a_sample_holds_the_smallest_different_digests(
    digests: list[int], most: int, size: int
) -> None:
    sample = SmallestDigests(most)
    for at in range(0, len(digests), size):
        chunk = pl.Series(digests[at : at + size], dtype=pl.UInt64)
        wanted = sample.wants(chunk)
        frame = pl.DataFrame({"twice": chunk * 2}).filter(wanted)
        sample.add(frame, chunk.filter(wanted))
    expected = sorted(set(digests))[:most]
    assert sample.digests().to_list() == expected
    if expected:
        assert sample.rows()["twice"].to_list() == [2 * digest for digest in expected]
