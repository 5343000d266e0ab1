"""Code transforms of a project file: ``int64 [rows]`` for an embedding, and several at once.

0 stands for unknown, 1 for missing, from 2 on comes what was learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torchyard.core.errors import BadProject
from torchyard.core.record import Json
from torchyard.project.needs import (
    Numbers,
    list_of_numbers,
    need_at_least,
    need_at_most,
    need_between,
)
from torchyard.records.sizes import MOST_CODES, MOST_EDGES
from torchyard.records.training import Transform


def bucket(
    input: Numbers, *, edges: Sequence[float] | None = None, buckets: int | None = None
) -> Transform:
    """A number as the place of the bucket it falls in, for an embedding.

    Makes ``int64 [rows]``: 1 missing, from 2 on the buckets in ascending order; a number on an edge
    belongs to the bucket above. (0 is never made.)

    Args:
        input: a field or number transform.
        edges: ascending, at most 65,536; ``len(edges) + 1`` buckets.
        buckets: 2 to 65,536 of about equal training mass, instead of ``edges``.

    Raises:
        BadProject: not exactly one of the two is given, the edges do not ascend, or there are too
            many.
    """
    where = "ty.bucket(...)"
    cuts = None if edges is None else list_of_numbers(edges, where=where, name="edges")
    rising = cuts is None or (cuts != [] and all(a < b for a, b in pairwise(cuts)))
    if (cuts is None) == (buckets is None) or not rising:
        raise BadProject(
            where=where,
            found=f"edges={edges}, buckets={buckets}",
            expected="ascending edges, or a number of buckets",
            remedy="For example ty.bucket('age', buckets=10).",
        )
    if buckets is not None:
        need_between(buckets, 2, MOST_EDGES, where=where, name="buckets")
    need_at_most(len(cuts or ()), MOST_EDGES, where=where, name="len(edges)")
    options: dict[str, Json] = {"edges": cuts, "buckets": buckets}
    return Transform(output="", operation="bucket", inputs=(input,), options=options)


def lookup(field: str, *, min_count: int = 1) -> Transform:
    """A category as an integer for an embedding.

    Makes ``int64 [rows]``: 0 unknown, 1 missing, from 2 on the categories that occur at least
    ``min_count`` times in the training split, the most frequent first.
    """
    need_at_least(min_count, 1, where="ty.lookup(...)", name="min_count")
    return Transform(
        output="", operation="lookup", inputs=(field,), options={"min_count": min_count}
    )


def hash_bucket(field: str, *, buckets: int) -> Transform:
    """A category, id or text as one of ``buckets`` integers by its hash: nothing to learn.

    Makes ``int64 [rows]``: 1 missing, from 2 on the buckets (0 is never made). For sets too large
    or too new for a lookup; different values may share a bucket. MurmurHash3, 32 bits. ``buckets``
    is 2 to 100,000,000.
    """
    need_between(buckets, 2, MOST_CODES, where="ty.hash_bucket(...)", name="buckets")
    return Transform(
        output="", operation="hash_bucket", inputs=(field,), options={"buckets": buckets}
    )


def cross(*inputs: Transform, buckets: int | None = None) -> Transform:
    """Several code transforms at once, one integer per combination.

    Makes ``int64 [rows]``: the place among all combinations of the inputs' codes; with ``buckets``
    the combinations are hashed into so many.

    Args:
        inputs: two or more of ``lookup``, ``hash_bucket``, ``bucket``.
        buckets: 2 to 100,000,000. Without them there may be as many combinations.

    Raises:
        BadProject: fewer than two inputs.
    """
    if len(inputs) < 2:
        raise BadProject(
            where="ty.cross(...)",
            found=f"{len(inputs)} inputs",
            expected="two or more code transforms",
            remedy="For example ty.cross(ty.lookup('origin'), ty.bucket('hour', buckets=4)).",
        )
    if buckets is not None:
        need_between(buckets, 2, MOST_CODES, where="ty.cross(...)", name="buckets")
    return Transform(output="", operation="cross", inputs=inputs, options={"buckets": buckets})


def multi_hot(field: str, *, separator: str = "|", min_count: int = 1) -> Transform:
    """Several categories in one text as zeros and ones: ``"Action|Comedy"``.

    Makes ``float32 [rows, categories + 2]``: a column for unknown ones, one for missing, then one
    per category that occurs in at least ``min_count`` training rows, the most frequent first.
    """
    need_at_least(min_count, 1, where="ty.multi_hot(...)", name="min_count")
    if not isinstance(separator, str) or not separator:
        raise BadProject(
            where="ty.multi_hot(...)",
            found=f"separator={separator!r}",
            expected="the text between two categories",
            remedy="For example separator='|'.",
        )
    return Transform(
        output="", operation="multi_hot", inputs=(field,),
        options={"separator": separator, "min_count": min_count},
    )  # fmt: skip
