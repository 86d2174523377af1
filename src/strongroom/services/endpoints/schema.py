"""What an endpoint takes in: names, datatypes and ranges of its features, checked before use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.errors import TooLargeError, ValidationError

Column = NDArray[Any]

# Largest magnitude of a whole number that a 64-bit float holds exactly.
_MAX_WHOLE = 2.0**53
MAX_WORD_CHARACTERS = 10_000
_NUMBER_BYTES = 64
_ENVELOPE_BYTES = 64 * 1024


@dataclass(frozen=True)
class InputSchema:
    """The features of a deployed model and the limits of its endpoint.

    Attributes:
        features: names in order.
        types: datatype of each, of the Open Inference Protocol.
        low, high: bounds of each, included; infinite where there is none.
        float_type: of numbers handed to the model.
        is_matrix: the model takes one table of numbers; else one column for each feature.
        most_bytes: of a request in JSON; a longer one has more rows than may be, and reading it
            would hold up all others.
    """

    features: tuple[str, ...]
    types: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    max_rows: int
    float_type: type[np.floating[Any]] = np.float32
    is_matrix: bool = True
    has_truth_values: bool = field(init=False)
    most_bytes: int = field(init=False)
    _most_row_bytes: int = field(init=False)
    _is_bounded: bool = field(init=False)
    _float_max: float = field(init=False)

    def __post_init__(self) -> None:
        """Note what the checks of each call need."""
        bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        object.__setattr__(self, "has_truth_values", "BOOL" in self.types)
        each = self._row_bytes()
        object.__setattr__(self, "_most_row_bytes", each)
        object.__setattr__(self, "most_bytes", _ENVELOPE_BYTES + self.max_rows * each)
        object.__setattr__(self, "_is_bounded", bounded)
        object.__setattr__(self, "_float_max", float(np.finfo(self.float_type).max))

    def fewest_rows(self, body_bytes: int) -> int:
        """As many rows as an honest request of so many bytes must have; 1 to `max_rows`."""
        rows = -(-(body_bytes - _ENVELOPE_BYTES) // self._most_row_bytes)
        return min(max(1, rows), self.max_rows)

    def _row_bytes(self) -> int:
        """The longest that JSON for a row may honestly be, names repeated in each."""
        return sum(
            # A character may be written in twelve bytes: two escapes of six.
            12 * len(name) + (12 * MAX_WORD_CHARACTERS if kind == "BYTES" else _NUMBER_BYTES)
            for name, kind in zip(self.features, self.types, strict=True)
        )

    @classmethod
    def build(
        cls,
        features: Sequence[str],
        types: Sequence[str],
        ranges: Mapping[str, tuple[float, float]],
        max_rows: int,
        *,
        float_type: type[np.floating[Any]] = np.float32,
        is_matrix: bool = True,
    ) -> "InputSchema":
        """Put a schema together. Raises: ValidationError for a range of an unknown feature."""
        if not features or len(features) != len(types) or len(set(features)) != len(features):
            raise ValidationError("the model's features are not known, or not distinct")
        if unknown := sorted(ranges.keys() - set(features)):
            raise ValidationError(f"the model has no feature `{unknown[0]}` to set a range for")
        low = np.array([ranges.get(name, (-np.inf, np.inf))[0] for name in features])
        high = np.array([ranges.get(name, (-np.inf, np.inf))[1] for name in features])
        return cls(tuple(features), tuple(types), low, high, max_rows, float_type, is_matrix)

    def check_count(self, rows: int) -> None:
        """Raises: ValidationError for no row, TooLargeError for too many."""
        if rows < 1:
            raise ValidationError("there is no row to predict")
        if rows > self.max_rows:
            raise TooLargeError(f"{rows} rows are more than this endpoint's {self.max_rows}")

    def check_row(self, row: list[float]) -> Column:
        """One row of numbers, as the model takes it: shape (1, features).

        The usual call has one row, and for it plain Python is faster than arrays.

        Raises: ValidationError naming the feature.
        """
        limit = self._float_max
        if (
            self._is_bounded
            or len(row) != len(self.features)
            # A sum is NaN where a member is; infinities are over the limit.
            or not (-limit <= min(row) and max(row) <= limit and sum(row) == sum(row))
        ):
            return self.check_numbers(np.array([row], dtype=np.float64))
        return np.array([row], dtype=self.float_type)

    def check_numbers(self, table: NDArray[np.float64]) -> Column:
        """A table of numbers, shape (rows, features), as the model takes it.

        Raises: ValidationError naming the feature, TooLargeError.
        """
        if table.ndim != 2 or table.shape[1] != len(self.features):
            raise ValidationError(
                f"each row must have {len(self.features)} values, one for each feature"
            )
        self.check_count(len(table))
        # One pass: a NaN is not <= anything, and what 32 bits cannot hold is over the maximum.
        if not (np.abs(table) <= self._float_max).all():
            index = int(np.argmin((np.abs(table) <= self._float_max).all(axis=0)))
            raise ValidationError(f"feature `{self.features[index]}` is not a finite number")
        if self._is_bounded and not ((table >= self.low) & (table <= self.high)).all():
            inside = ((table >= self.low) & (table <= self.high)).all(axis=0)
            name = self.features[int(np.argmin(inside))]
            raise ValidationError(f"feature `{name}` is outside its range")
        return table.astype(self.float_type)

    def check_columns(self, columns: Sequence[Sequence[Any]]) -> list[Column]:
        """Columns of values, one for each feature in order, as the model takes them.

        Raises: ValidationError naming the feature, TooLargeError.
        """
        if len(columns) != len(self.features):
            raise ValidationError(f"the model has {len(self.features)} features")
        self.check_count(len(columns[0]))
        return [self._column(i, values) for i, values in enumerate(columns)]

    def _column(self, index: int, values: Sequence[Any]) -> Column:
        name, kind = self.features[index], self.types[index]
        if kind == "BYTES":
            if any(type(value) is not str or len(value) > MAX_WORD_CHARACTERS for value in values):
                raise ValidationError(f"feature `{name}` must be text")
            return np.array(values, dtype=object)
        if any(type(value) not in {int, float, bool} for value in values):
            raise ValidationError(f"feature `{name}` must be a number")
        if kind == "BOOL" and any(value not in {0, 1} for value in values):
            raise ValidationError(f"feature `{name}` must be true or false")
        try:
            numbers = np.array(values, dtype=np.float64)
        except OverflowError:
            raise ValidationError(f"feature `{name}` is not a finite number") from None
        limit = _MAX_WHOLE if kind == "INT64" else self._float_max
        if not (np.abs(numbers) <= limit).all():
            raise ValidationError(f"feature `{name}` is not a finite number")
        if kind == "INT64" and (numbers != np.rint(numbers)).any():
            raise ValidationError(f"feature `{name}` must be a whole number")
        if not ((numbers >= self.low[index]) & (numbers <= self.high[index])).all():
            raise ValidationError(f"feature `{name}` is outside its range")
        if kind == "BOOL":
            return numbers.astype(np.bool_)
        return numbers.astype(np.int64 if kind == "INT64" else self.float_type)
