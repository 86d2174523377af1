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

from strongroom.services.models import confined_conversion
from strongroom.services.models.model_inside import stated

Head = dict[str, Any]
Matrix = NDArray[np.float64]
_ONNX_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(string)": object,
}  # fmt: skip


def start(_argument: Head, folder: Path) -> Callable[[Head, bytes], tuple[Head, bytes]]:
    """Load the model of the folder, and give the function that answers requests."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    place = folder / "in"
    about = confined_conversion.describe(place)
    model: _Onnx | _Estimator
    if about["kind"] in {"onnx", "additive"}:
        model = _Onnx(*_onnx_bytes(place, about))
    elif about["kind"] == "sklearn":
        model = _Estimator(confined_conversion.load(place), about)
    else:
        raise ValueError("neither ONNX, an additive model nor one with scikit-learn's methods")
    return _Subject(model).handle


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

    def __init__(self, model: "_Onnx | _Estimator") -> None:
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
            case "answer":
                columns = self._columns(np.frombuffer(body).reshape(head["rows"], -1))
                fitted = self._fitted.get(head.get("fitted", -1))
                scores = np.ascontiguousarray(self._model.scores(columns, fitted), np.float64)
                head = {"classes": scores.shape[1], "cpu": time.process_time()}
                return head, scores.tobytes()
            case _:
                return self._fit(head, body), b""

    def _fit(self, head: Head, body: bytes) -> Head:
        assert isinstance(self._model, _Estimator)  # noqa: S101 # asked only where it says so
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
        except Exception:  # noqa: BLE001 - it may be built in any way; then nothing is known
            return {"kind": "none"}, b""

    def refit(self, columns: dict[str, NDArray[Any]], truth: Matrix, seed: int) -> Any:  # noqa: ANN401 # scikit-learn has no types
        """Another model; `truth` holds places of classes, or the numbers of a regression."""
        from sklearn.base import clone

        model = clone(self._model)
        seeds = {name: seed for name in model.get_params() if name.endswith("random_state")}
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


class _Onnx:
    """A model in ONNX's form, in one thread."""

    def __init__(self, data: bytes, features: list[str], classes: list[str]) -> None:
        import os

        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: it tells its maker else
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = self._session.get_inputs()
        self._outputs = [entry.name for entry in self._session.get_outputs()][:2]
        self._is_matrix = len(self._inputs) == 1 and len(self._inputs[0].shape) == 2
        names = [] if self._is_matrix else [entry.name for entry in self._inputs]
        self._features = features or names
        self._classes = classes

    def about(self) -> Head:
        width = self._inputs[0].shape[1] if self._is_matrix else len(self._inputs)
        is_classifier = len(self._outputs) > 1
        return {
            "kind": "onnx", "class": "onnx", "features": self._features,
            "count": width if isinstance(width, int) else 0, "classes": self._classes,
            "probabilities": is_classifier, "can_fit": False, "is_regression": not is_classifier,
        }  # fmt: skip

    def inside(self) -> tuple[Head, bytes]:
        """Nothing that exact methods could use."""
        return {"kind": "none"}, b""

    def scores(self, columns: dict[str, NDArray[Any]], _fitted: Any) -> Matrix:  # noqa: ANN401 # scikit-learn has no types
        values = list(columns.values())
        if self._is_matrix:
            kind = _ONNX_TYPES[self._inputs[0].type]
            feed = {self._inputs[0].name: np.column_stack(values).astype(kind)}
        else:
            feed = {
                entry.name: column.reshape(-1, 1).astype(_ONNX_TYPES[entry.type])
                for entry, column in zip(self._inputs, values, strict=True)
            }
        found = self._session.run(self._outputs, feed)
        if len(found) == 1:
            return np.asarray(found[0], dtype=np.float64).reshape(len(values[0]), -1)
        if isinstance(found[1], list):  # a map of class to probability for each row
            return np.array([list(one.values()) for one in found[1]], dtype=np.float64)
        return np.asarray(found[1], dtype=np.float64)
