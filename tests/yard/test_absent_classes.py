"""A class that a part lacks is told with its name and the part's, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.yard.test_featuring import open_project
from torchyard.core.errors import BadData
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features

LABELLED = '.with_columns(y=pl.when(pl.int_range(600) % 10 > 0).then("y"))'
MANY = (
    ("return y", "return np.where(y, 'owl', np.where(np.arange(600) % 2, 'cat', 'dog'))"),
    ('binary_classification("y")', 'multiclass_classification("y", classes=["cat", "dog", "owl"])'),
)


def without(label: object, part: str) -> tuple[str, str]:
    """The change of the project that takes a class out of a part."""
    gone = f'(pl.col("y") == {label!r}).fill_null(False) & (pl.col("part") == {part!r})'
    return LABELLED, f"{LABELLED}.filter(~({gone}))"


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("label", "changes", "named", "classes"),
    [
        (True, (), "'y'", "both"),
        (False, (), "'not y'", "both"),
        ("owl", MANY, "'owl'", "all"),
    ],
)
def test_a_class_that_a_part_lacks_is_named(
    tmp_path: Path, part: str, label: object, changes: tuple[tuple[str, str], ...], named: str,
    classes: str,
) -> None:  # fmt: skip
    opened, _ = open_project(tmp_path, without(label, part), *changes)
    with pytest.raises(BadData) as refused:
        fit_features(opened, add_data(opened))
    assert refused.value.where == f"{part} split, label 'y'"
    assert refused.value.found.startswith(f"no row of {named} among ")
    assert refused.value.expected == f"rows of {classes} classes"
    assert not list((tmp_path / ".torchyard" / "stages" / "features").iterdir())


def test_a_class_that_no_part_has_is_refused_before(tmp_path: Path) -> None:
    gone = (LABELLED, f'{LABELLED}.filter((pl.col("y") != "owl").fill_null(True))')
    opened, _ = open_project(tmp_path, gone, *MANY)
    with pytest.raises(BadData, match="is never owl"):
        add_data(opened)


def test_a_part_without_any_row_is_told(tmp_path: Path) -> None:
    opened, _ = open_project(tmp_path, (LABELLED, LABELLED + '.filter(pl.col("part") != "test")'))
    with pytest.raises(BadData, match=r"test split.*found no row of 'not y', 'y' among 0"):
        fit_features(opened, add_data(opened))
