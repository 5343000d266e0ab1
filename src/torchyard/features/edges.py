"""Which of many ascending edges a number has reached, as one node of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from torchyard.features.graph import Array, Place


def count_reached(place: Place, value: str, edges: list[Array]) -> str:
    """How many of its column's ascending edges each number has reached, ``float [rows, width]``.

    One decision tree per column: a search by halves in a single node.
    """
    trees: dict[str, list[Any]] = {
        name: []
        for name in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes",
            "nodes_truenodeids", "nodes_falsenodeids", "target_treeids", "target_nodeids",
            "target_ids",
        )
    }  # fmt: skip
    values: list[float] = []
    weights: list[float] = []
    for column, ascending in enumerate(edges):
        _grow(trees, values, weights, column, ascending)
    return place.node(
        "TreeEnsembleRegressor", [value], "reached", domain="ai.onnx.ml", n_targets=len(edges),
        nodes_values_as_tensor=numpy_helper.from_array(np.array(values)),
        target_weights_as_tensor=numpy_helper.from_array(np.array(weights)), **trees,
    )  # fmt: skip


def _grow(
    trees: dict[str, list[Any]],
    values: list[float],
    weights: list[float],
    column: int,
    edges: Array,
) -> None:
    """Add the tree of one column: node numbers go down the left side first."""
    base = len(values)

    def node(low: int, high: int) -> int:
        number = len(values) - base
        middle = (low + high) // 2
        leaf = low == high
        trees["nodes_treeids"].append(column)
        trees["nodes_nodeids"].append(number)
        trees["nodes_featureids"].append(column)
        trees["nodes_modes"].append("LEAF" if leaf else "BRANCH_LT")
        values.append(0.0 if leaf else float(edges[middle]))
        trees["nodes_truenodeids"].append(0)
        trees["nodes_falsenodeids"].append(0)
        if leaf:
            trees["target_treeids"].append(column)
            trees["target_nodeids"].append(number)
            trees["target_ids"].append(column)
            weights.append(float(low))
        else:
            trees["nodes_truenodeids"][base + number] = node(low, middle)
            trees["nodes_falsenodeids"][base + number] = node(middle + 1, high)
        return number

    node(0, len(edges))
