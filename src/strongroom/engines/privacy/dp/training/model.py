"""A model that is a table a column: the score of a row is the sum of what its values stand for.

It can be read by a person, and holds nothing but numbers: as JSON here, as ONNX in `onnx_form`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.coding import column_codes
from strongroom.engines.privacy.dp.training.domain import (
    MAX_COLUMNS,
    MAX_VALUES,
    Amount,
    Category,
    Choice,
    Domain,
    Target,
    domain_of,
    is_rising,
)
from strongroom.errors import TooLargeError, ValidationError

FORMAT = "strongroom-additive-model"
VERSION = 1
ENDING = ".additive.json"
MAX_BYTES = 64 << 20
_MOST = 1e6
"""Of a score: beyond it, 32-bit floats would no longer add up."""


@dataclass(frozen=True, slots=True)
class Term:
    """What the values of one column stand for.

    Attributes:
        cuts: of a number: rising 32-bit floats; a value is at the place of the cuts it reached.
        values: of a category.
        scores: one a place, and a last one for missing and unknown values.
    """

    name: str
    scores: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    values: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        places = len(self.cuts) + 1 if self.values is None else len(self.values)
        if len(self.scores) != places + 1:
            raise ValidationError(
                f"`{self.name}` has {places} places and {len(self.scores)} scores"
            )
        if not all(math.isfinite(one) and abs(one) <= _MOST for one in self.scores):
            raise ValidationError(f"a score of `{self.name}` is no number, or beyond {_MOST:g}")
        if not all(math.isfinite(one) and one == float(np.float32(one)) for one in self.cuts):
            raise ValidationError(f"a cut of `{self.name}` is no 32-bit number")
        if not is_rising(self.cuts):
            raise ValidationError(f"the cuts of `{self.name}` do not rise")


@dataclass(frozen=True, slots=True)
class AdditiveModel:
    """An intercept and a term a column.

    Attributes:
        target: of a choice, the score is the logarithm of the odds of its second value; of an
            amount, it is the amount, clamped to the bounds.
    """

    intercept: float
    terms: tuple[Term, ...]
    target: Target

    def __post_init__(self) -> None:
        names = [one.name for one in self.terms]
        if not 1 <= len(names) <= MAX_COLUMNS or len(set(names)) != len(names):
            raise ValidationError(f"a model has 1 to {MAX_COLUMNS:,} terms with names of their own")
        if not (math.isfinite(self.intercept) and abs(self.intercept) <= _MOST):
            raise ValidationError(f"the intercept is no number, or beyond {_MOST:g}")

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """The sum of each row. Shape (rows,). Raises: ValidationError: a column is missing."""
        total = np.full(table.num_rows, self.intercept)
        for term in self.terms:
            if term.name not in table.schema.names:
                raise ValidationError(f"the table has no column `{term.name}`")
            codes = column_codes(table.column(term.name), term.name, term.cuts, term.values)
            total += np.array(term.scores)[codes]
        return total

    def predict(self, table: pa.Table) -> NDArray[np.float64]:
        """The chance of the second class, in [0, 1], or the amount within its bounds."""
        scores = self.scores(table)
        if isinstance(self.target, Amount):
            return np.clip(scores, self.target.low, self.target.high)
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))))

    def strength(self) -> dict[str, float]:
        """How much each column moves the score: the width of its scores, the strongest first."""
        widths = {one.name: max(one.scores) - min(one.scores) for one in self.terms}
        return dict(sorted(widths.items(), key=lambda one: -one[1]))

    def to_json(self) -> str:
        """As text, which `model_from_json` reads."""
        domain = Domain((Category(self.terms[0].name, ("-",)),), self.target)
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "target": domain.document()["target"],
                "intercept": self.intercept,
                "terms": [
                    {"name": one.name, "scores": one.scores}
                    | ({"cuts": one.cuts} if one.values is None else {"values": one.values})
                    for one in self.terms
                ],
            },
            ensure_ascii=False,
        )  # fmt: skip


def model_from_json(text: str | bytes) -> AdditiveModel:
    """A model out of its JSON. Raises: ValidationError, TooLargeError; whatever the text holds."""
    if len(text) > MAX_BYTES:
        raise TooLargeError(f"a model has at most {MAX_BYTES:,} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError("the model is no JSON") from error
    if not isinstance(found, Mapping) or found.get("format") != FORMAT:
        raise ValidationError("this is no additive model")
    if found.get("version") != VERSION:
        raise ValidationError("the model is of a version that is not known here")
    if set(found) != {"format", "version", "target", "intercept", "terms"}:
        raise ValidationError("the model has other fields than it should")
    target = domain_of({"target": found["target"], "columns": {"\0": {"values": ["-"]}}}).target
    terms = found["terms"]
    if not isinstance(terms, list) or len(terms) > MAX_COLUMNS:
        raise ValidationError(f"`terms` is a list of up to {MAX_COLUMNS:,}")
    return AdditiveModel(
        _numbers([found["intercept"]])[0], tuple(_term(one) for one in terms), target
    )


def _term(found: Any) -> Term:  # noqa: ANN401 # from outside
    if not isinstance(found, Mapping) or not isinstance(found.get("name"), str):
        raise ValidationError("a term has no name")
    name = found["name"]
    if set(found) == {"name", "scores", "cuts"}:
        return Term(name, _numbers(found["scores"]), _numbers(found["cuts"]))
    if set(found) == {"name", "scores", "values"}:
        stated = found["values"]
        if not isinstance(stated, list) or not all(isinstance(one, str) for one in stated):
            raise ValidationError(f"the values of `{name}` are no texts")
        values = Category(name, tuple(stated)).values
        return Term(name, _numbers(found["scores"]), (), values)
    raise ValidationError(f"the term `{name}` needs scores, and cuts or values")


def _numbers(found: Any) -> tuple[float, ...]:  # noqa: ANN401 # from outside
    if not isinstance(found, Sequence) or isinstance(found, str) or len(found) > MAX_VALUES + 2:
        raise ValidationError(f"numbers are a list of up to {MAX_VALUES + 2:,}")
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in found):
        raise ValidationError("a number is none")
    try:
        return tuple(float(one) for one in found)
    except OverflowError:
        raise ValidationError("a number is too large") from None


def classes_of(target: Target) -> tuple[str, ...]:
    """The labels of a choice in the order of its scores; none for an amount."""
    return target.values if isinstance(target, Choice) else ()
