"""The model of an assessment, inside the sandbox: it answers, says what it is, and is fitted anew.

Called by `subjects`, never outside. What comes back are numbers and short texts: the tests and
their verdict are made elsewhere, out of reach of the model's code.
"""

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

from strongroom.engines.robustness.hardening.stating import state
from strongroom.services.models import confined_conversion
from strongroom.services.models.confined_onnx import OnnxModel
from strongroom.services.models.confined_recipe import RecipedOnnx, recipe_beside
from strongroom.services.models.model_inside import stated
from strongroom.services.models.replicated import packed

Head = dict[str, Any]
Matrix = NDArray[np.float64]


def start(_argument: Head, folder: Path) -> Callable[[Head, bytes], tuple[Head, bytes]]:
    """Load the model of the folder, and give the function that answers requests."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    place = folder / "in"
    about = confined_conversion.describe(place)
    model: OnnxModel | _Estimator
    if about["kind"] in {"onnx", "additive"}:
        stated_recipe = recipe_beside(place) if about["kind"] == "onnx" else None
        form = _onnx_bytes(place, about)
        model = OnnxModel(*form) if stated_recipe is None else RecipedOnnx(*form, stated_recipe)
    elif about["kind"] == "sklearn":
        model = _Estimator(confined_conversion.load(place), about)
    else:
        raise ValueError(
            "neither ONNX, an additive model nor one with scikit-learn's methods; a network of "
            "another library is exported to ONNX first"
        )
    threadpool_limits(1)  # more, on a busy machine, wait for each other; what it needs is loaded
    return _Subject(model).handle


def answering(model: Any, features: list[str]) -> Callable[[Head, bytes], tuple[Head, bytes]]:  # noqa: ANN401 # any model
    """The function that answers requests about a model that was fitted here."""
    return _Subject(_Estimator(model, {"features": features})).handle


def _onnx_bytes(place: Path, about: Head) -> tuple[bytes, list[str], list[str]]:
    data = (place / about["file"]).read_bytes()
    if about["kind"] == "onnx":
        return data, list(about.get("features", [])), []
    from strongroom.engines.privacy.dp.training.model import classes_of, model_from_json
    from strongroom.engines.privacy.dp.training.onnx_form import onnx_bytes

    model = model_from_json(data)
    return onnx_bytes(model), [term.name for term in model.terms], list(classes_of(model.target))


class _Subject:
    """Answers requests about one model and those fitted like it."""

    def __init__(self, model: "OnnxModel | _Estimator") -> None:
        self._model = model
        self._names: list[str] = []
        self._levels: dict[str, list[str]] = {}
        self._fitted: dict[int, Any] = {}

    def handle(self, head: Head, body: bytes) -> tuple[Head, bytes]:
        for number in head.get("gone", []):
            self._fitted.pop(number, None)
        match head["do"]:
            case "about":
                return self._model.about(), b""
            case "features":
                self._names = list(head["names"])
                self._levels = {name: list(levels) for name, levels in head["levels"].items()}
                return {}, b""
            case "inside":
                return self._model.inside()
            case "recipe":
                return self._model.recipe(), b""
            case "numbers":
                return self._model.numbers(len(self._names))
            case "answer":
                columns = self._columns(np.frombuffer(body).reshape(head["rows"], -1))
                fitted = self._fitted.get(head.get("fitted", -1))
                scores = np.ascontiguousarray(self._model.scores(columns, fitted), np.float64)
                head = {"classes": scores.shape[1], "cpu": time.process_time()}
                return head, scores.tobytes()
            case _:
                return self._fit(head, body), b""

    def _fit(self, head: Head, body: bytes) -> Head:
        assert isinstance(self._model, _Estimator | RecipedOnnx)  # noqa: S101 # asked only where it says so
        rows = head["rows"]
        truth = np.frombuffer(body[: rows * 8])
        columns = self._columns(np.frombuffer(body[rows * 8 :]).reshape(rows, -1))
        number = head["fitted"]
        self._fitted[number] = self._model.refit(columns, truth, head["seed"])
        return {"fitted": number}

    def _columns(self, matrix: Matrix) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        for place, name in enumerate(self._names):
            values = matrix[:, place]
            if name in self._levels:
                columns[name] = np.array(self._levels[name], dtype=object)[values.astype(np.intp)]
            else:
                columns[name] = values
        return columns


class _Estimator:
    """A model with scikit-learn's methods."""

    def __init__(self, model: Any, about: Head) -> None:  # noqa: ANN401 # any model
        self._model = model
        self._features = about.get("features") or [
            str(name) for name in getattr(model, "feature_names_in_", [])
        ]
        self._needs_names = hasattr(model, "feature_names_in_")
        self._classes = np.asarray(getattr(model, "classes_", []))
        # An own recipe needs a model that knows how to be cloned, and says its classes.
        self._can_fit = hasattr(model, "get_params") and self._classes.ndim == 1

    def about(self) -> Head:
        return {
            "kind": "sklearn",
            "class": f"{type(self._model).__module__}.{type(self._model).__qualname__}"[:200],
            "features": self._features,
            "count": int(getattr(self._model, "n_features_in_", len(self._features))),
            "classes": [str(one) for one in self._classes.tolist()],
            "probabilities": hasattr(self._model, "predict_proba"),
            "can_fit": self._can_fit,
        }

    def scores(self, columns: dict[str, NDArray[Any]], fitted: Any) -> Matrix:  # noqa: ANN401 # scikit-learn has no types
        model = self._model if fitted is None else fitted
        table = self._table(columns)
        if not len(self._classes):
            return np.asarray(model.predict(table), dtype=np.float64).reshape(-1, 1)
        if hasattr(model, "predict_proba"):
            found = np.asarray(model.predict_proba(table), dtype=np.float64)
            if fitted is None:
                return found
            scores = np.zeros((len(found), len(self._classes)))
            scores[:, self._places(model.classes_)] = found
            return scores
        scores = np.zeros((len(table), len(self._classes)))
        scores[np.arange(len(table)), self._places(model.predict(table))] = 1.0
        return scores

    def inside(self) -> tuple[Head, bytes]:
        """Its trees or layers as numbers, where it has some."""
        try:
            return stated(self._model)
        except Exception:  # noqa: BLE001 # it may be built in any way; then nothing is known
            return {"kind": "none"}, b""

    def numbers(self, width: int) -> tuple[Head, bytes]:
        """What its answers are computed from, where that is understood."""
        try:
            return packed(self._model, width)
        except Exception:  # noqa: BLE001 # as above
            return {"kind": "none"}, b""

    def recipe(self) -> Head:
        """How it was fitted, as plain data."""
        try:
            return state(self._model)
        except Exception:  # noqa: BLE001 # as above
            return {"kind": ""}

    def refit(self, columns: dict[str, NDArray[Any]], truth: Matrix, seed: int) -> Any:  # noqa: ANN401 # scikit-learn has no types
        """Another model; `truth` holds places of classes, or the numbers of a regression."""
        from sklearn.base import clone

        model = clone(self._model)
        seeds = {name: seed for name in model.get_params() if name.endswith("random_state")}
        seeds |= {name: 1 for name in model.get_params() if name.endswith("n_jobs")}
        known = self._classes[truth.astype(np.intp)] if len(self._classes) else truth
        return model.set_params(**seeds).fit(self._table(columns), known)

    def _places(self, found: Any) -> NDArray[np.intp]:  # noqa: ANN401 # labels of any type
        places = {one: place for place, one in enumerate(self._classes.tolist())}
        return np.array([places[one] for one in np.asarray(found).tolist()], dtype=np.intp)

    def _table(self, columns: dict[str, NDArray[Any]]) -> Any:  # noqa: ANN401 # frame or array
        if self._needs_names or any(one.dtype == object for one in columns.values()):
            import pandas as pd

            return pd.DataFrame(columns)
        return np.column_stack(list(columns.values()))
