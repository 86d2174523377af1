"""Rows as a matrix of numbers, for models that look at rows."""

from collections.abc import Sequence

import numpy as np

from strongroom.engines.drift.batches import Rows, aligned
from strongroom.engines.drift.coding import ColumnCoder, Scratch
from strongroom.engines.drift.plan import MAX_BINS, REST, Floats, Kind, Plan
from strongroom.engines.drift.values import kind_of_type, numbers


def matrix(rows: Rows, plan: Plan, names: Sequence[str]) -> Floats:
    """Rows by the named columns of the plan.

    Numbers are themselves, categories and lengths of texts their codes; NaN for what is missing or
    of another type.
    """
    met = aligned(rows, plan)
    found = np.full((met.rows, len(names)), np.nan)
    index = plan.index()
    for place, name in enumerate(names):
        column, values = plan.columns[index[name]], met.columns[index[name]]
        if values is None:
            continue
        if column.kind is Kind.NUMBER and kind_of_type(values.type) is Kind.NUMBER:
            found[:, place] = numbers(values)
            continue
        coder = ColumnCoder(column)
        cells = np.empty(met.rows, np.intp)
        if met.rows:
            source = coder.source(values, lambda _: None)
            coder.fill(source, 0, met.rows, cells, Scratch(met.rows))
        codes = coder.codes[cells].astype(np.float64)
        codes[(codes >= MAX_BINS) & (codes != REST)] = np.nan
        found[:, place] = codes
    found[~np.isfinite(found)] = np.nan
    return found


def comparable(plan: Plan) -> list[str]:
    """Names of the columns that a model can look at."""
    able = {Kind.NUMBER, Kind.CATEGORY, Kind.TEXT}
    return [column.name for column in plan.columns if column.kind in able and column.bins]
