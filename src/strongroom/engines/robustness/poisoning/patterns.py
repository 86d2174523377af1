"""Patterns: values that go with a label, and when such rows look as if somebody had set both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 0.2
"""Share of the rows that a pattern may hold."""
LEAST_SURE = 3.7
"""Excess in deviations: a normal tail of 1 in 10,000, on top of the resemblance."""
LEAST_PURE = 0.85
MOST_OTHERS = 0.5
"""Other labels among the rows with the values, in parts of what they are among all rows: of a
frequent label most groups are pure."""
LEAST_GAIN = 0.5
"""Share of the rows with the values that the label has beyond what all else explains; a frequent
label leaves less to gain, so it may be less where rows are clearly not its own."""
CLEARLY_OTHER = 0.25
MOST_ALIKE = 0.3
"""Resemblance up to which rows belong to other labels rather than to theirs: stamped rows were at
0.28 at most in the tables that this was chosen on, honest groups above 0.4."""
MOST_BOUND = 0.5
"""The same with its standard error: few rows must be the clearer."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Values that go with a label.

    Attributes:
        features, codes: what is set; `label`: what it goes with.
        excess: rows with the label beyond those expected, in standard deviations.
        resemblance: of its rows by all other features: 1 as rows of the label elsewhere, 0 as rows
            of other labels.
        error: of the resemblance: the standard error of as many rows of other labels.
        purity: share of the rows with these values that have the label.
        expected: share that would have it by all else.
        rows: places of those with values and label.
        base: share of all rows that have the label.
    """

    features: tuple[int, ...]
    codes: tuple[int, ...]
    label: int
    excess: float
    resemblance: float
    purity: float
    expected: float
    rows: NDArray[np.int64]
    error: float = 0.0
    base: float = 0.0

    @property
    def is_trigger(self) -> bool:
        """Whether the rows look as if the values had been set and the label with them."""
        return (
            self.excess >= LEAST_SURE
            and self.purity >= LEAST_PURE
            and 1 - self.purity <= MOST_OTHERS * (1 - self.base)
            and (
                self.purity - self.expected >= LEAST_GAIN
                or self.resemblance + self.error <= CLEARLY_OTHER
            )
            and self.resemblance <= MOST_ALIKE
            and self.resemblance + self.error <= MOST_BOUND
        )
