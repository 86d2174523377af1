"""Samples with a season: like is compared with like.

A reference is counted by phase (the same hour or day of the week, the same week or month of the
year). A window of the current sample is compared with its phase; the whole current sample with a
reference in which each phase weighs as much as it does there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from strongroom.engines.drift.plan import Counts, Plan
from strongroom.engines.drift.state import State, merged


@dataclass(frozen=True, slots=True)
class Matched:
    """Two samples with the same season.

    Attributes:
        left_out: rows of the current sample whose phase the reference hardly knows.
        missing: phases that these rows are of.
    """

    reference: State
    current: State
    left_out: int
    missing: tuple[int, ...]


def matched(
    reference: Mapping[int, State], current: Mapping[int, State], plan: Plan, least: int
) -> Matched:
    """Both samples, with as much of each phase in one as in the other.

    Of each phase so many rows of the reference are taken, as expected shares of its counts, that
    all phases weigh as in the current sample and none counts more rows than there were. Expected
    counts scatter less than rows that were drawn would, so that tests of them are on the safe side.

    Args:
        reference, current: states by phase.
        least: rows of a phase that the reference must have.
    """
    there = {at: one.rows for at, one in current.items() if one.rows}
    known = [at for at in there if at in reference and reference[at].rows >= least]
    missing = tuple(sorted(set(there) - set(known)))
    times = min((reference[at].rows / there[at] for at in known), default=0.0)
    taken = [
        _thinned(reference[at], min(round(times * there[at]), reference[at].rows))
        for at in sorted(known)
    ]
    return Matched(
        merged(taken, plan), merged((current[at] for at in sorted(known)), plan),
        sum(there[at] for at in missing), missing,
    )  # fmt: skip


def _thinned(state: State, rows: int) -> State:
    """The expected counts of some of its rows, drawn evenly."""
    share = rows / state.rows
    everywhere = np.column_stack([state.counts, state.absent]) * share
    # Rounded sums, so that parts add up to the whole.
    counts = np.diff(np.rint(np.cumsum(everywhere, axis=1)), axis=1, prepend=0).astype(np.int64)
    products: Counts = np.rint(state.products * share).astype(np.int64)
    found = State(state.plan)
    sketches = {at: np.rint(one * share).astype(np.int64) for at, one in state.sketches.items()}
    found.restore(rows, counts[:, :-1], counts[:, -1], products, sketches, state.remarks)
    found.hidden, found.noise = state.hidden, state.noise
    return found
