"""Proof that serving computes what training computed, and examples to prove it again by.

The parity check runs before sealing; the golden requests travel with the release, and every worker
replays them before it is ready.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import Refused
from torchyard.core.record import Json
from torchyard.records.evidence import Parity
from torchyard.yard.results import Array, Featured, OpenProject

if TYPE_CHECKING:
    import polars as pl

    from torchyard.runtimes import Model

PARITY_ROWS = 256
GOLDEN_ROWS = 32
# The same file on another processor may order float32 sums differently; what this lets through
# is far below any decision, what it stops is a wrong file, vocabulary or temperature. Of a number
# it is a share of its size.
GOLDEN_TOLERANCE = 1e-4


def check_parity(opened: OpenProject, featured: Featured) -> Parity:
    """Feed real rows through serving's own path and compare with what training saw, bit by bit.

    Serving's path: JSON text, the request decoder, raw columns, the feature graph; row by row, all
    at once, and backwards.

    Raises:
        Refused: any element differs.
    """
    from torchyard.features import difference

    chosen = featured.sample("test", PARITY_ROWS, seed=0)
    trained_on = {name: np.array(t[chosen]) for name, t in featured.tensors("test").items()}
    serve = _serving_path(opened, featured, featured.rows_at("test", chosen))
    places = np.arange(len(chosen))
    singles = [serve(places[place : place + 1]) for place in places]
    ways = {
        "row by row": {n: np.concatenate([s[n] for s in singles]) for n in trained_on},
        "one batch": serve(places),
        "backwards": {name: tensor[::-1] for name, tensor in serve(places[::-1]).items()},
    }
    compared = [difference(trained_on, served) for served in ways.values()]
    parity = Parity(
        rows=len(chosen),
        elements=sum(elements for elements, _, _ in compared),
        worst_difference=max(worst for _, _, worst in compared),
        differing_elements=sum(differing for _, differing, _ in compared),
        orders=tuple(ways),
    )
    if parity.differing_elements:
        raise Refused(
            where="parity of training and serving",
            found=f"{parity.differing_elements} of {parity.elements} feature values that differ, "
            f"by up to {parity.worst_difference:g}",
            expected="bit-identical features on both paths",
            remedy="Run the features stage again: rm -r .torchyard/stages/features",
        )
    return parity


def golden_requests(
    opened: OpenProject, model: Model, featured: Featured
) -> tuple[tuple[dict[str, Json], ...], tuple[tuple[float, ...], ...]]:
    """Test rows as requests, and how the variant that serves first answers them.

    Personal values are exchanged for stand-ins first, so requests and answers say nothing of
    anybody, and belong together.

    A row whose answer the task does not allow is left out: served, it fails.

    Raises:
        BadData: a personal field's pattern lets no stand-in be made up.
        Refused: every row would be left out.
    """
    from torchyard.data.rows import request_rows
    from torchyard.data.stand_ins import with_stand_ins
    from torchyard.serve.decoding.rows import RowDecoder
    from torchyard.serve.soundness import has_domain, outside_domain, said_domain

    schema = opened.project.schema.request
    places = featured.sample("test", GOLDEN_ROWS, seed=opened.project.training.seed)
    rows = with_stand_ins(featured.rows_at("test", places), schema)
    requests = request_rows(rows, schema)
    decoder = RowDecoder(schema, max_rows=GOLDEN_ROWS)
    decoded = decoder.decode(json.dumps({"rows": requests}).encode()).rows
    answers = model.run(decoder.columns(decoded))
    task = opened.project.task
    kept = np.flatnonzero(~outside_domain(task, answers)) if has_domain(task) else range(len(rows))
    if not len(kept):
        raise Refused(
            where=f"answers to {len(answers)} test rows",
            found=f"none that is {said_domain(task)}",
            expected="values that the task allows",
            remedy="Bound what the module gives, for example by a softplus, or widen ge and le.",
        )
    return (
        tuple(requests[place] for place in kept),
        tuple(tuple(float(p) for p in answers[place]) for place in kept),
    )


def _serving_path(
    opened: OpenProject, featured: Featured, rows: pl.DataFrame
) -> Callable[[Array], dict[str, Array]]:
    """What a request with the rows at some places goes through, up to the feature tensors."""
    from torchyard.data.rows import request_rows
    from torchyard.features import Encoder
    from torchyard.serve.decoding.rows import RowDecoder

    schema = opened.project.schema.request
    decoder = RowDecoder(schema, max_rows=PARITY_ROWS)
    encoder = Encoder(featured.graph_file, threads=1)

    def serve(places: Array) -> dict[str, Array]:
        body = json.dumps({"rows": request_rows(rows[places.tolist()], schema)})
        return encoder.encode(decoder.columns(decoder.decode(body.encode()).rows))

    return serve
