"""A small neural network over the places of a table's columns; what DP-SGD learned, as numbers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.coding import column_codes
from strongroom.engines.privacy.dp.training.domain import Amount, Target
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class ColumnWeights:
    """What each place of a column adds to the hidden layer. Weights: shape (places, hidden)."""

    name: str
    weights: NDArray[np.float64]
    cuts: tuple[float, ...] = ()
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """One hidden layer with rectified units.

    Attributes:
        bias: of the hidden layer, shape (hidden,).
        last: from the hidden layer to the score, shape (hidden,).
    """

    terms: tuple[ColumnWeights, ...]
    bias: NDArray[np.float64]
    last: NDArray[np.float64]
    last_bias: float
    target: Target

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """The score of each row. Shape (rows,). Raises: ValidationError: a column is missing."""
        hidden = np.tile(self.bias, (table.num_rows, 1))
        for term in self.terms:
            if term.name not in table.schema.names:
                raise ValidationError(f"the table has no column `{term.name}`")
            codes = column_codes(table.column(term.name), term.name, term.cuts, term.values)
            hidden += term.weights[codes]
        return np.asarray(np.maximum(hidden, 0) @ self.last + self.last_bias)

    def predict(self, table: pa.Table) -> NDArray[np.float64]:
        """The chance of the second class, in [0, 1], or the amount within its bounds."""
        scores = self.scores(table)
        if isinstance(self.target, Amount):
            return np.clip(scores, self.target.low, self.target.high)
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))))
