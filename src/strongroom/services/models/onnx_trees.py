"""Ensembles of trees in ONNX's form, as the arrays of `Trees`; runs in the sandbox only.

Source: ONNX operators of the domain ai.onnx.ml, TreeEnsembleClassifier version 3.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
TREES = frozenset(("TreeEnsembleClassifier",))
"""Operators that are read."""
_LEAF, _BRANCH = b"LEAF", b"BRANCH_LEQ"
_SIGMOIDS = frozenset((b"LOGISTIC",))


def trees_of(_operator: str, given: Mapping[str, Any]) -> list[Numbers]:
    """Features, thresholds, left, right, values, roots, base: as `Trees` has them.

    Args:
        given: attributes of the node.
    Raises: ValueError, KeyError: nodes of another kind, or that are no trees.
    """
    modes = list(given["nodes_modes"])
    if not set(modes) <= {_LEAF, _BRANCH}:
        raise ValueError
    keys = list(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True))
    index = {key: at for at, key in enumerate(keys)}
    children = [
        None if mode == _LEAF else (index[tree, left], index[tree, right])
        for mode, (tree, _), left, right in zip(
            modes, keys, given["nodes_truenodeids"], given["nodes_falsenodeids"], strict=True
        )
    ]
    held = {child for pair in children if pair for child in pair}
    roots = [at for at in range(len(keys)) if at not in held]
    order = _parents_first(children, roots)
    place = np.empty(len(keys), dtype=np.intp)
    place[order] = np.arange(len(order))
    count = len(order)
    arrays = {name: np.full(count, -1.0) for name in ("features", "left", "right")}
    thresholds = np.zeros(count)
    for at in order:
        pair = children[at]
        if pair is not None:
            new = place[at]
            arrays["features"][new] = given["nodes_featureids"][at]
            thresholds[new] = given["nodes_values"][at]
            arrays["left"][new], arrays["right"][new] = place[pair[0]], place[pair[1]]
    values, base = _values(given, index, place)
    return [
        arrays["features"], thresholds, arrays["left"], arrays["right"], values,
        place[roots].astype(np.float64), base,
    ]  # fmt: skip


def _parents_first(children: list[tuple[int, int] | None], roots: list[int]) -> list[int]:
    """Every node once, none before its parent. Raises: ValueError: there is a circle."""
    order, pending = [], roots[::-1]
    while pending:
        at = pending.pop()
        order.append(at)
        pair = children[at]
        if pair is not None:
            pending += [pair[1], pair[0]]
        if len(order) > len(children):
            raise ValueError
    if len(order) != len(children):
        raise ValueError
    return order


def _values(
    given: Mapping[str, Any], index: Mapping[tuple[int, int], int], place: NDArray[np.intp]
) -> tuple[Numbers, Numbers]:
    names = given.get("classlabels_int64s") or given.get("classlabels_strings") or []
    ids = list(given["class_ids"])
    classes = len(names)
    values = np.zeros((len(place), classes))
    keys = zip(given["class_treeids"], given["class_nodeids"], strict=True)
    weights = given["class_weights"]
    for key, number, weight in zip(keys, ids, weights, strict=True):
        values[place[index[key]], number] += weight
    base = np.zeros(classes)
    stated = list(given.get("base_values", []))
    if classes == 2 and len(set(ids)) == 1:
        # One score for both: that of the second, whose first is 1 less it, or 0 of two logits.
        score = values[:, ids[0]].copy()
        is_logit = given.get("post_transform") in _SIGMOIDS or min(weights) < 0
        values = np.stack([np.zeros_like(score) if is_logit else -score, score], axis=1)
        base = np.array([0.0 if is_logit else 1.0, 0.0])
        base[1] += sum(stated)
        if not is_logit:
            base[0] -= sum(stated)
    elif len(stated) == classes:
        base += stated
    return values, base
