"""Code transforms: whole numbers for embeddings, and zeros and ones for several at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, numpy_helper

from torchyard.core.errors import BadProject
from torchyard.features.columns import MISSING_TEXT
from torchyard.features.edges import count_reached
from torchyard.features.graph import Array, Codes, Finished, Path, Place
from torchyard.features.learn import FromNumbers, Learner, Sample, Words, whole_values
from torchyard.features.operation import Operation
from torchyard.records.schema import Schema
from torchyard.records.sizes import MOST_CODES
from torchyard.records.training import Transform

if TYPE_CHECKING:
    import polars as pl

UNKNOWN, MISSING, FIRST = 0, 1, 2

_LARGEST_WHOLE = 2**62
# what follows in a longer text counts as one unknown word: one row's words pad all others', so
# that a single long row must not fill the memory
_MOST_WORDS = 1000


def _lookup(place: Place) -> Codes:
    vocabulary = place.learnt
    found = place.node(
        "LabelEncoder", [place.raw()], "code", domain="ai.onnx.ml",
        keys_strings=[MISSING_TEXT, *vocabulary],
        values_int64s=[MISSING, *range(FIRST, FIRST + len(vocabulary))], default_int64=UNKNOWN,
    )  # fmt: skip
    return Codes(_flat(place, found), FIRST + len(vocabulary))


def _learn_lookup(transform: Transform, path: Path, schema: Schema) -> Learner[tuple[str, ...]]:
    field, least = str(transform.inputs[0]), int(transform.options["min_count"])
    return Words(field, whole_values, least=least)


def _hash_bucket(place: Place) -> Codes:
    buckets = int(place.transform.options["buckets"])
    bucket = _hashed(place, place.raw(), buckets)
    code = place.node("Add", [bucket, place.constant("first", FIRST, np.int64)], "code")
    empty = place.constant("empty", [[MISSING_TEXT]], object)
    missing = place.node("Equal", [place.raw(), empty], "missing")
    gap = place.constant("gap", MISSING, np.int64)
    return Codes(_flat(place, place.node("Where", [missing, gap, code], "any")), FIRST + buckets)


def _bucket(place: Place) -> Codes:
    made = place.numbers()
    edges = place.transform.options["edges"]
    edges = place.learnt if edges is None else np.array(edges, np.float64)
    reached = count_reached(place, made.value, [edges])
    whole = place.node("Cast", [reached], "whole", to=TensorProto.INT64)
    code = place.node("Add", [whole, place.constant("first", FIRST, np.int64)], "code")
    if made.missing is not None:
        gap = place.constant("gap", MISSING, np.int64)
        code = place.node("Where", [made.missing, gap, code], "any")
    return Codes(_flat(place, code), FIRST + len(edges) + 1)


def _learn_bucket(transform: Transform, path: Path, schema: Schema) -> Learner[Array] | None:
    if transform.options["edges"] is not None:
        return None
    buckets = int(transform.options["buckets"])

    def conclude(columns: list[Array]) -> Array:
        edges: Array = np.unique(np.quantile(columns[0], np.arange(1, buckets) / buckets))
        # nothing lies below the smallest value
        above: Array = edges[edges > columns[0][0]]
        return above

    return FromNumbers(path, Sample(), conclude)


def _cross(place: Place) -> Codes:
    made = [place.inner(k) for k in range(len(place.transform.inputs))]
    codes = [item for item in made if isinstance(item, Codes)]
    buckets = place.transform.options["buckets"]
    combinations = math.prod(item.cardinality for item in codes)
    most = _LARGEST_WHOLE if buckets else MOST_CODES
    if combinations > most:
        raise BadProject(
            where=f"features: {place.path[0]} = ty.cross(...)",
            found=f"{combinations:.3g} combinations",
            expected=f"at most {most:,}",
            remedy="Cross fewer or coarser codes"
            + ("." if buckets else ", or give buckets= to hash the combinations."),
        )
    value = codes[0].value
    for k, item in enumerate(codes[1:], 1):
        size = place.constant(f"size_{k}", item.cardinality, np.int64)
        row = place.node("Mul", [value, size], f"row_{k}")
        value = place.node("Add", [row, item.value], f"place_{k}")
    if buckets is None:
        return Codes(value, combinations)
    return Codes(_hashed(place, value, int(buckets)), int(buckets))


def _multi_hot(place: Place) -> Finished:
    """A one at each word's place; what pads the shorter rows goes to a column that is cut off."""
    vocabulary = place.learnt
    width = FIRST + len(vocabulary)
    words = place.node(
        "StringSplit", [place.raw()], "words", maxsplit=_MOST_WORDS,
        delimiter=place.transform.options["separator"],
    )  # fmt: skip
    place.writer.nodes[-1].output.append(place.name("words/count"))
    at = place.node(
        "LabelEncoder", [words], "place", domain="ai.onnx.ml",
        keys_strings=[MISSING_TEXT, *vocabulary],
        values_int64s=[width, *range(FIRST, width)], default_int64=UNKNOWN,
    )  # fmt: skip
    flat = place.node("Squeeze", [at, place.constant("middle", [1], np.int64)], "places")
    rows = place.node("Shape", [place.raw()], "rows", start=0, end=1)
    columns = place.constant("columns", [width + 1], np.int64)
    size = place.node("Concat", [rows, columns], "size", axis=0)
    zeros = place.node("ConstantOfShape", [size], "zeros")
    like = place.node("Shape", [flat], "like")
    one = numpy_helper.from_array(np.ones(1, np.float32))
    ones = place.node("ConstantOfShape", [like], "ones", value=one)
    hot = place.node("ScatterElements", [zeros, flat, ones], "hot", axis=1)
    empty = place.constant("empty", [[MISSING_TEXT]], object)
    gap = place.node("Equal", [place.raw(), empty], "missing")
    missing = place.node("Cast", [gap], "missing/float", to=TensorProto.FLOAT)
    before, after = _columns(place, hot, 0, 1), _columns(place, hot, FIRST, width)
    joined = place.node("Concat", [before, missing, after], "joined", axis=1)
    return Finished(joined, "float32", (width,))


def _learn_multi_hot(transform: Transform, path: Path, schema: Schema) -> Learner[tuple[str, ...]]:
    separator = str(transform.options["separator"])

    def words(series: pl.Series) -> Iterable[tuple[str, int]]:
        apart = series.drop_nulls().str.split(separator).list.unique().explode()
        return whole_values(apart.drop_nulls())

    return Words(str(transform.inputs[0]), words, least=int(transform.options["min_count"]))


def _columns(place: Place, value: str, first: int, end: int) -> str:
    what = f"from_{first}"
    bounds = [
        place.constant(f"{what}/{word}", [number], np.int64)
        for word, number in (("first", first), ("end", end), ("axis", 1))
    ]
    return place.node("Slice", [value, *bounds], what)


def _hashed(place: Place, value: str, buckets: int) -> str:
    """MurmurHash3, 32 bits, seed 0, modulo ``buckets``."""
    digest = place.node("MurmurHash3", [value], "hash", domain="com.microsoft", positive=1, seed=0)
    whole = place.node("Cast", [digest], "hash/whole", to=TensorProto.INT64)
    return place.node("Mod", [whole, place.constant("buckets", buckets, np.int64)], "bucket")


def _flat(place: Place, value: str) -> str:
    return place.node("Reshape", [value, place.constant("flat", [-1], np.int64)], "flat/codes")


CODES: dict[str, Operation] = {
    "lookup": Operation(_lookup, _learn_lookup),
    "hash_bucket": Operation(_hash_bucket),
    "bucket": Operation(_bucket, _learn_bucket),
    "cross": Operation(_cross),
    "multi_hot": Operation(_multi_hot, _learn_multi_hot),
}
