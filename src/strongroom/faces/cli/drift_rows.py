"""Models of rows, for `strongroom drift`: what tells samples apart, and which features matter."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.attribution import attribution_drift
from strongroom.engines.drift.classifier import LEAST_ROWS, domain_classifier
from strongroom.engines.drift.findings import AttributionDrift
from strongroom.engines.drift.importances import MAX_FEATURES, METHOD, importances
from strongroom.engines.drift.matrices import comparable, matrix
from strongroom.engines.drift.plan import Floats, Kind, Plan
from strongroom.engines.drift.wording import percent
from strongroom.errors import TableError, UsageError
from strongroom.faces.cli import output

_LOOKED_AT = 10_000
_LITTLE = 0.5
"""Share of the prediction that a stand-in should explain."""

Tables = tuple[pa.Table | None, pa.Table | None]
"""Samples of the rows of reference and current sample; None where a state was given."""


def classified(tables: Tables, plan: Plan, left_out: frozenset[str]) -> tuple[float | None, str]:
    """The area under the curve of a domain classifier, and what it says."""
    names = tuple(name for name in comparable(plan) if name not in left_out)
    first, second = tables
    if first is None or second is None:
        return None, "The domain classifier needs rows: give tables, not states."
    if min(first.num_rows, second.num_rows) < LEAST_ROWS or not names:
        return None, f"The domain classifier needs {LEAST_ROWS} rows of each sample."
    parts = [matrix(one.slice(0, _LOOKED_AT), plan, names) for one in (first, second)]
    found = domain_classifier(parts[0], parts[1], names)
    told = ", ".join(f"`{output.clean(name)}`" for name, drop in found.importances[:3] if drop > 0)
    says = f"A classifier tells rows of the samples apart with AUC {found.auc:.3f}"
    return found.auc, says + (f", mostly by {told}." if told and found.auc > 0.55 else ".")


def attributed(
    tables: Tables, plan: Plan, target: str, left_out: frozenset[str], threshold: float
) -> tuple[AttributionDrift | None, tuple[str, ...]]:
    """Whether the features that matter to the prediction are the same, and notes.

    Args:
        target: column of the prediction.
        left_out: columns that are no features.
    """
    if not target:
        raise UsageError("--attribution needs --score or --prediction: what features matter to")
    first, second = tables
    if first is None or second is None:
        return None, ("Importances need rows: give tables, not states.",)
    names = [name for name in comparable(plan) if name not in left_out and name != target]
    if len(names) > MAX_FEATURES:
        note = f"Importances were not compared: there are more than {MAX_FEATURES} features."
        return None, (note,)
    kind = plan.columns[plan.index()[target]].kind
    if kind not in {Kind.NUMBER, Kind.CATEGORY}:
        return None, ("Importances were not compared: the prediction is no number and no class.",)
    are_classes = kind is Kind.CATEGORY
    try:
        sides = [
            importances(
                matrix(one, plan, names), _said(one, plan, target), names, are_classes=are_classes
            )
            for one in (first, second)
        ]
    except TableError as met:
        return None, (f"Importances were not compared: {met.message}.",)
    if not any(sides[0].features.values()):
        note = "Importances were not compared: no feature explains the reference's predictions."
        return None, (note,)
    found = attribution_drift(sides[0].features, sides[1].features, threshold)
    notes = tuple(
        f"Features explain only {percent(one.explained)} of the prediction in the {where}: the "
        "importances are of this part."
        for one, where in zip(sides, ("reference", "current sample"), strict=True)
        if one.explained < _LITTLE
    )
    return replace(found, method=METHOD), notes


def _said(table: pa.Table, plan: Plan, target: str) -> Floats:
    """The prediction of each row: a number, or the code of its class."""
    found = matrix(table, plan, [target])
    said: Floats = np.ascontiguousarray(found[:, 0])
    return said
