"""Which columns set single people apart, alone or in pairs."""

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    QuasiIdentifier,
    Role,
    Shape,
)

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

LEAST_SHARE = 0.05
"""Combinations that set fewer rows apart than this are not reported."""
_MAX_COLUMNS = 60
_MIN_ROWS = 20
_SHAPES = frozenset(
    {Shape.CATEGORY, Shape.SHORT_TEXT, Shape.UNIQUE_TEXT, Shape.DATE, Shape.UNIQUE_INTEGER}
)


def is_candidate(finding: ColumnFinding) -> bool:
    """True where others may know the values: a quasi-identifier must be known elsewhere.

    Measurements (numbers without a personal meaning) are unique in most tables, yet nobody
    outside knows them; they are not counted. Nor are columns that name people by themselves:
    those are findings already.
    """
    if finding.role in (Role.DIRECT, Role.SECRET):
        return False
    if finding.role is Role.QUASI:
        return True
    return finding.type is None and finding.profile.shape in _SHAPES


def _codes(column: "pa.ChunkedArray[Any]") -> npt.NDArray[np.int64]:
    """A number for each distinct value, null being one of them."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    indices: npt.NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False)
    return indices.astype(np.int64)


def _measure(names: tuple[str, ...], codes: npt.NDArray[np.int64]) -> QuasiIdentifier:
    _, counts = np.unique(codes, return_counts=True)
    alone = int(np.count_nonzero(counts == 1))
    return QuasiIdentifier(names, round(alone / len(codes), 4), int(counts.min()))


def quasi_identifiers(
    table: pa.Table, findings: tuple[ColumnFinding, ...]
) -> tuple[QuasiIdentifier, ...]:
    """Candidate columns, and pairs of them that set more people apart than either alone.

    Most telling first. The shares are those of the sample: in the whole table a value meets
    more others, so they can only fall.
    """
    if table.num_rows < _MIN_ROWS:
        return ()
    coded: dict[str, npt.NDArray[np.int64]] = {}
    for finding in findings:
        if is_candidate(finding) and len(coded) < _MAX_COLUMNS:
            try:
                coded[finding.column] = _codes(table.column(finding.column))
            except pa.ArrowNotImplementedError:
                continue  # nested: not looked into
    singles = {name: _measure((name,), codes) for name, codes in coded.items()}
    found = [single for single in singles.values() if single.unique_share >= LEAST_SHARE]
    for first, second in combinations(coded, 2):
        better = max(singles[first].unique_share, singles[second].unique_share)
        if better >= 1.0 - LEAST_SHARE:
            continue  # one of them alone sets nearly everyone apart
        # Codes are small non-negative numbers, so the product of the ranges fits 64 bits.
        joined = coded[first] * (int(coded[second].max()) + 1) + coded[second]
        pair = _measure((first, second), joined)
        if pair.unique_share >= max(LEAST_SHARE, better + LEAST_SHARE):
            found.append(pair)
    return tuple(sorted(found, key=lambda item: (-item.unique_share, len(item.columns))))
