"""A hardened model in ONNX's form that came with its recipe, inside the sandbox.

The recipe is plain data and read as from a stranger (`hardening/stating.py`), so others like the
model can be fitted for shadow models though its own estimator did not come along. Where the recipe
is not the model's, its shadow models do not resemble it, which the tests of membership find out.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.hardening.columns import pipeline_of
from strongroom.engines.robustness.hardening.stating import Stated, read
from strongroom.engines.robustness.space import Feature
from strongroom.services.models.confined_onnx import OnnxModel

RECIPE_NAME = "recipe.json"
_MOST_BYTES = 64 << 10

Head = dict[str, Any]
Matrix = NDArray[np.float64]


def recipe_beside(place: Path) -> Stated | None:
    """The recipe in a model's folder; None where there is none that can be read."""
    file = place / RECIPE_NAME
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        return None
    try:
        found = msgspec.json.decode(file.read_bytes())
    except msgspec.DecodeError:
        return None
    return read(found) if isinstance(found, dict) else None


class RecipedOnnx(OnnxModel):
    """ONNX, and a recipe by which others like it are fitted."""

    def __init__(
        self, data: bytes, features: list[str], classes: list[str], stated: Stated
    ) -> None:
        super().__init__(data, features, classes)
        self._stated = stated
        self._count = 0

    def about(self) -> Head:
        """What it is."""
        found = super().about()
        is_fitted = bool(found["probabilities"])
        return {**found, "class": f"onnx, {self._stated.kind}", "can_fit": is_fitted}

    def recipe(self) -> Head:
        """How it was fitted, as plain data."""
        return self._stated.document()

    def refit(self, columns: dict[str, NDArray[Any]], truth: Matrix, seed: int) -> Any:  # noqa: ANN401 # scikit-learn has no types
        """Another model; `truth` holds places of classes."""
        is_text = {name: column.dtype == object for name, column in columns.items()}
        features = [
            Feature(name, levels=tuple(sorted(set(column.tolist()))) if is_text[name] else ())
            for name, column in columns.items()
        ]
        fills = any(
            bool(np.isnan(column).any()) for name, column in columns.items() if not is_text[name]
        )
        model = pipeline_of(self._stated, features, seed, fills=fills)
        return model.fit(_values(columns), truth.astype(np.int64))

    def scores(self, columns: dict[str, NDArray[Any]], fitted: Any) -> Matrix:  # noqa: ANN401 # scikit-learn has no types
        """Probabilities of classes; those that a fitted model did not see get 0."""
        if fitted is None:
            found = super().scores(columns, None)
            self._count = found.shape[1]
            return found
        known = fitted.predict_proba(_values(columns))
        made = np.zeros((len(known), max(self._count, int(fitted.classes_.max()) + 1)))
        made[:, fitted.classes_] = known
        return made


def _values(columns: dict[str, NDArray[Any]]) -> Any:  # noqa: ANN401 # frame or array
    if any(column.dtype == object for column in columns.values()):
        import pandas as pd

        return pd.DataFrame(columns)
    return np.column_stack(list(columns.values()))
