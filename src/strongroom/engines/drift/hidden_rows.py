"""What a file puts elsewhere or leaves out of a column's counts, as if nothing had changed.

Fewer rows than the minimum are written as none: of the rarest categories, and of what is missing.
Where they are all that a column lacks its largest count has them. So a comparison must not take
for a change what these few rows explain.
"""

import numpy as np

from strongroom.engines.drift.plan import Counts


def explained(
    reference: Counts, current: Counts, hidden: tuple[int, int], *, has_rest: bool
) -> tuple[Counts, Counts]:
    """Counts of both samples, as alike as rows that are hidden can make them.

    Args:
        hidden: rows of each sample that may lie elsewhere.
        has_rest: the last count is of all rare categories together.
    """
    if hidden[0]:
        reference = _explained(reference, current, hidden[0], has_rest=has_rest)
    if hidden[1]:
        current = _explained(current, reference, hidden[1], has_rest=has_rest)
    return reference, current


def _explained(counts: Counts, others: Counts, hidden: int, *, has_rest: bool) -> Counts:
    if not counts.any() or not others.any():
        return counts
    found = counts.copy()
    over = counts - others * (int(counts.sum()) / int(others.sum()))
    largest = int(counts.argmax())
    found[largest] -= int(np.clip(over[largest], 0, hidden))
    if has_rest:
        found[-1] += int(np.clip(np.ceil(-over[-1]), 0, hidden))
    return found
