"""The error of a regression without labels: a model of the error itself (DLE).

A second model learns from the reference, where labels are known, how large the error of the first
is for given inputs and prediction. Over current rows its mean is the expected mean absolute error,
and that of the squared error likewise. It assumes that errors depend on inputs and prediction as
they did. That it can tell errors at all, and that current inputs lie where the reference's do, is
tested.

Source: the method is NannyML's direct loss estimation; Fang et al. 2020 for the idea of learning a
loss.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strongroom.engines.drift.plan import Floats
from strongroom.engines.drift.threads import one_thread
from strongroom.errors import TableError

LEAST_ROWS = 200
_MOST_ROWS = 50_000
"""Rows that the model learns from; more are thinned out evenly."""
_MOST_OUTSIDE = 0.05
_SURE_Z = 3.0


@dataclass(frozen=True, slots=True)
class RegressionPerformance:
    """Errors of a regression; `bias` is the mean of prediction less label."""

    rows: int
    mae: float
    rmse: float
    bias: float
    r_squared: float


@dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """Errors that are expected.

    Attributes:
        error: standard error of the mean absolute error.
        warnings: assumptions that fail, in words.
    """

    rows: int
    mae: float
    rmse: float
    error: float
    warnings: tuple[str, ...]


class RegressionState:
    """Errors of a regression, summed exactly.

    Values are taken in multiples of a unit times 2^-20, and cut off at 2^30 units, so that sums
    are integers, which add up in any order.

    Attributes:
        left_out: rows without a prediction or label.
        sums: of errors, their sizes, labels, and the squares of errors and labels.
    """

    def __init__(self, unit: float = 1.0) -> None:
        """`unit`: about as large as values and errors are, > 0; a power of two is made of it."""
        if not (math.isfinite(unit) and unit > 0):
            raise TableError("the unit of a regression is a number above 0")
        self.unit = 2.0 ** round(math.log2(unit))
        self.sums = [0] * _SUMS
        self.rows = self.left_out = 0

    def update(self, predictions: ArrayLike, labels: ArrayLike) -> None:
        """Count rows. Raises: TableError: the arrays differ in length."""
        said, known = (np.asarray(one, np.float64).ravel() for one in (predictions, labels))
        if len(said) != len(known):
            raise TableError("predictions and labels differ in length")
        good = np.isfinite(said) & np.isfinite(known)
        self.left_out += int((~good).sum())
        self.rows += int(good.sum())
        with np.errstate(over="ignore"):
            error = self._scaled(said[good] - known[good])
        truth = self._scaled(known[good])
        # Products may pass 64 bits: they are summed in halves, and joined as Python's integers.
        sums = [int(one.sum()) for one in (error, np.abs(error), truth)]
        sums += [_squares(error), _squares(truth)]
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]

    def _scaled(self, values: Floats) -> NDArray[np.int64]:
        with np.errstate(over="ignore"):
            scaled = np.rint(values / self.unit * _FINE)
        return np.clip(scaled, -_MOST, _MOST).astype(np.int64)

    def merge(self, other: "RegressionState") -> None:
        """Add what another has counted. Raises: TableError: it has another unit."""
        if other.unit != self.unit:
            raise TableError("states of different units cannot be merged")
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.rows += other.rows
        self.left_out += other.left_out

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RegressionState):
            return NotImplemented
        mine, others = ((one.unit, one.rows, one.left_out, one.sums) for one in (self, other))
        return mine == others

    __hash__ = None  # type: ignore[assignment] # it changes

    def performance(self) -> RegressionPerformance | None:
        """Measured; None where no row had both."""
        if not self.rows:
            return None
        fine, rows = self.unit / _FINE, self.rows
        error, absolute, truth, squared, truth_squared = self.sums
        mean_square = squared / rows * fine**2
        variance = (truth_squared / rows - (truth / rows) ** 2) * fine**2
        return RegressionPerformance(
            rows, absolute / rows * fine, math.sqrt(mean_square), error / rows * fine,
            1 - mean_square / variance if variance > 0 else math.nan,
        )  # fmt: skip


_SUMS = 5
_FINE = float(1 << 20)
_MOST = float(1 << 50)


def _squares(values: NDArray[np.int64]) -> int:
    """The sum of squares of numbers up to 2^50, exactly."""
    high, low = values >> 25, values & ((1 << 25) - 1)
    total = 0
    for begin in range(0, len(values), 4_096):  # so that no partial sum passes 2^63
        a, b = high[begin : begin + 4_096], low[begin : begin + 4_096]
        total += (int((a * a).sum()) << 50) + (int((a * b).sum()) << 26) + int((b * b).sum())
    return total


class ErrorModel:
    """Learns errors from a reference with labels."""

    def __init__(
        self, inputs: ArrayLike, predictions: ArrayLike, labels: ArrayLike, seed: int = 0
    ) -> None:
        """Learn.

        Args:
            inputs: rows by features, numbers; NaN for missing.
            predictions: of the model that is watched.
            labels: of the same rows.

        Raises: TableError: there are fewer than `LEAST_ROWS` rows with a label.
        """
        table, errors = _table(inputs, predictions), self._errors(predictions, labels)
        good = np.isfinite(errors)
        if int(good.sum()) < LEAST_ROWS:
            raise TableError(f"the error model needs {LEAST_ROWS} rows with labels")
        random = np.random.Generator(np.random.PCG64(seed))
        rows = random.permutation(np.flatnonzero(good))[:_MOST_ROWS]
        table, errors = table[rows], errors[rows]
        self._low, self._high = (np.nanquantile(table, share, axis=0) for share in (0.001, 0.999))
        half = len(table) // 2
        self._absolute = _fitted(table, np.abs(errors), seed)
        self._squared = _fitted(table, errors**2, seed)
        first = _fitted(table[:half], np.abs(errors[:half]), seed)
        with one_thread():
            held_out = first.predict(table[half:])
        self._residual = np.abs(errors[half:]) - held_out
        self._held_out = held_out, np.abs(errors[half:])

    @staticmethod
    def _errors(predictions: ArrayLike, labels: ArrayLike) -> Floats:
        said, known = (np.asarray(one, np.float64).ravel() for one in (predictions, labels))
        if len(said) != len(known):
            raise TableError("predictions and labels differ in length")
        with np.errstate(over="ignore", invalid="ignore"):
            errors: Floats = said - known
        return errors

    def estimate(
        self, inputs: ArrayLike, predictions: ArrayLike, labels: ArrayLike | None = None
    ) -> ErrorEstimate | None:
        """What to expect of the current rows; None where there are none.

        Args:
            labels: those that have come, NaN elsewhere: the estimate is held against them.
        """
        table = _table(inputs, predictions)
        if not len(table):
            return None
        if table.shape[1] != len(self._low):
            raise TableError("the current rows have other features than the reference")
        with one_thread():
            absolute = np.maximum(self._absolute.predict(table), 0.0)
            squared = np.maximum(self._squared.predict(table), 0.0)
        spread = float(np.std(self._residual))
        error = spread * math.sqrt(1 / len(table) + 1 / len(self._residual))
        return ErrorEstimate(
            len(table), float(np.mean(absolute)), math.sqrt(float(np.mean(squared))), error,
            tuple(self._warnings(table, absolute, predictions, labels)),
        )  # fmt: skip

    def _warnings(
        self, table: Floats, absolute: Floats, predictions: ArrayLike, labels: ArrayLike | None
    ) -> list[str]:
        found = []
        expected, real = self._held_out
        bias = float(np.mean(real - expected))
        if abs(bias) > _SURE_Z * float(np.std(real - expected)) / math.sqrt(len(real)):
            found.append(
                "on held-out rows of the reference the error model is off by more than chance"
            )
        outside = ((table < self._low) | (table > self._high)).mean(axis=0)
        if outside.max(initial=0.0) > _MOST_OUTSIDE:
            found.append(
                f"{outside.max() * 100:.0f} % of the rows lie outside the reference's range in "
                "an input: errors there are not known"
            )
        if labels is not None:
            late = np.abs(self._errors(predictions, labels))
            good = np.isfinite(late)
            if good.sum() >= LEAST_ROWS:
                gap = late[good] - absolute[good]
                if abs(gap.mean()) > _SURE_Z * gap.std() / math.sqrt(len(gap)):
                    found.append(
                        f"the {int(good.sum()):,} labels that have come show another error than "
                        "expected: what the inputs mean has changed"
                    )
        return found


def _table(inputs: ArrayLike, predictions: ArrayLike) -> Floats:
    given = np.asarray(inputs, np.float64)
    said = np.asarray(predictions, np.float64).ravel()
    if given.ndim != 2 or len(given) != len(said):
        raise TableError("inputs and predictions differ in length")
    table = np.column_stack([given, said])
    table[~np.isfinite(table)] = np.nan
    return table


def _fitted(table: Floats, target: Floats, seed: int) -> Any:  # noqa: ANN401 # scikit-learn is untyped
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=50, max_leaf_nodes=15, min_samples_leaf=30, learning_rate=0.1, random_state=seed,
        early_stopping=False,
    )  # fmt: skip
    with one_thread():
        return model.fit(table, target)
