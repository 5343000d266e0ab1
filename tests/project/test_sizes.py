"""Sizes that would take all memory are refused where a project file says them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject
from torchyard.project import features

A_THOUSAND_MILLION = 10**9
CODES = ty.lookup("c"), ty.lookup("d")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda n: ty.bucket("a", buckets=n), "buckets=1000000000; expected at most 65,536"),
        (lambda n: ty.quantile("a", points=n), "points=1000000000; expected at most 65,536"),
        (lambda n: ty.hash_bucket("c", buckets=n), "buckets=1000000000; expected at most 100,000"),
        (lambda n: ty.cross(*CODES, buckets=n), "buckets=1000000000; expected at most 100,000"),
        (lambda n: ty.tokenize("x", length=n, vocabulary=9), "length=1000000000; .* 131,072"),
        (lambda n: ty.tokenize("x", length=9, vocabulary=n), "vocabulary=1000000000; .* 100,000,"),
        (lambda n: ty.pixels("p", size=(n, 1)), "channels=3000000000; expected at most 16,777,216"),
        (lambda n: ty.pixels("p", size=(1, n)), "channels=3000000000"),
        (lambda n: ty.pixels("p", size=(n, n), channels=1), "channels=1000000000000000000;"),
        (lambda n: ty.tensor((n,)), "values of a row=1000000000; expected at most 16,777,216"),
        (lambda n: ty.tensor([n] * 40, dtype="int64"), "values of a row=10000000"),
    ],
)
def test_a_wrong_number_is_refused(write: Callable[[int], Any], said: str) -> None:
    with pytest.raises(BadProject, match=said) as caught:
        write(A_THOUSAND_MILLION)
    assert caught.value.remedy.endswith("more would take all memory.")


def test_too_many_edges_are_refused() -> None:
    assert ty.bucket("a", edges=range(65_536)).options["edges"][-1] == 65_535
    with pytest.raises(BadProject, match=r"len\(edges\)=65537; expected at most 65,536"):
        ty.bucket("a", edges=range(65_537))


def test_the_largest_sizes_are_taken() -> None:
    assert ty.tensor((4096, 4096)).shape == (4096, 4096)
    assert ty.pixels("p", size=(4096, 4096), channels=1).options["size"] == [4096, 4096]
    assert ty.tokenize("x", length=131_072, vocabulary=9).options["length"] == 131_072
    assert ty.hash_bucket("c", buckets=100_000_000).options["buckets"] == 100_000_000
    assert ty.quantile("a", points=65_536).options["points"] == 65_536


def test_a_large_tokenizers_file_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "LARGEST_TOKENIZER_BYTES", 1000)
    (tmp_path / "tokenizer.json").write_text('"' + "x" * 999 + '"')
    with pytest.raises(BadProject, match="bytes of file=1001; expected at most 1,000"):
        ty.tokenize("x", length=9, file=tmp_path / "tokenizer.json")


def test_a_tokenizers_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"a":' * 100_000)
    with pytest.raises(BadProject, match=r"recursion .* expected a tokenizers file"):
        ty.tokenize("x", length=9, file=tmp_path / "tokenizer.json")
