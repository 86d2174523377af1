"""A model in ONNX's form, inside the sandbox: what it says of itself, and how it is asked.

A network as its library exports it has one output of logits and takes images as they are; a
converted estimator has labels and probabilities. Both come out as probabilities of classes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.services.models.model_inside import stated_onnx
from strongroom.services.models.onnx_graph import ending

Head = dict[str, Any]
Matrix = NDArray[np.float64]
_ONNX_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(string)": object,
}  # fmt: skip


class OnnxModel:
    """It, in one thread."""

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
        self._data = data
        self._inputs = self._session.get_inputs()
        self._outputs = [entry.name for entry in self._session.get_outputs()][:2]
        # What a row is where one input takes all of it, a matrix or images; empty: a column each.
        self._shape = self._inputs[0].shape[1:] if len(self._inputs) == 1 else []
        self._is_matrix = len(self._shape) == 1 or (
            len(self._shape) > 1 and all(isinstance(one, int) for one in self._shape)
        )
        self._ending = ending(data) if len(self._outputs) == 1 else ""
        self._answers = self._counted() if len(self._outputs) == 1 else 0
        names = [] if self._is_matrix else [entry.name for entry in self._inputs]
        self._features = features or names
        self._classes = classes

    def about(self) -> Head:
        """What it is."""
        width = self._width() if self._is_matrix else len(self._inputs)
        is_classifier = len(self._outputs) > 1 or self._answers > 1 or self._ending == "Sigmoid"
        return {
            "kind": "onnx", "class": "onnx", "features": self._features,
            "count": width, "classes": self._classes,
            "probabilities": is_classifier, "can_fit": False, "is_regression": not is_classifier,
        }  # fmt: skip

    def inside(self) -> tuple[Head, bytes]:
        """Its layers or trees as numbers, where it is of a kind that is read."""
        try:
            return stated_onnx(self._data) if self._is_matrix else ({"kind": "none"}, b"")
        except Exception:  # noqa: BLE001 # the graph may be anything; then nothing is known
            return {"kind": "none"}, b""

    def numbers(self, _width: int) -> tuple[Head, bytes]:
        """Not needed: it answers fast."""
        return {"kind": "none"}, b""

    def recipe(self) -> Head:
        """Nobody knows."""
        return {"kind": ""}

    def scores(self, columns: dict[str, NDArray[Any]], _fitted: Any) -> Matrix:  # noqa: ANN401 # scikit-learn has no types
        """Probabilities of classes, or one number a row."""
        values = list(columns.values())
        if self._is_matrix:
            kind = _ONNX_TYPES[self._inputs[0].type]
            rows = np.column_stack(values).astype(kind)
            if len(self._shape) > 1:
                rows = rows.reshape(-1, *self._shape)
            feed = {self._inputs[0].name: rows}
        else:
            feed = {
                entry.name: column.reshape(-1, 1).astype(_ONNX_TYPES[entry.type])
                for entry, column in zip(self._inputs, values, strict=True)
            }
        found = self._session.run(self._outputs, feed)
        if len(found) == 1:
            answers = np.asarray(found[0], dtype=np.float64).reshape(len(values[0]), -1)
            return self._probabilities(answers)
        if isinstance(found[1], list):  # a map of class to probability for each row
            return np.array([list(one.values()) for one in found[1]], dtype=np.float64)
        return np.asarray(found[1], dtype=np.float64)

    def _width(self) -> int:
        """Numbers of a row; 0 for unknown."""
        return math.prod(self._shape) if all(isinstance(one, int) for one in self._shape) else 0

    def _counted(self) -> int:
        """How many numbers it answers to a row, by asking one of zeros; 0 where that fails."""
        if not self._is_matrix or not self._width():
            return 0
        try:
            zeros = np.zeros((1, *self._shape), _ONNX_TYPES[self._inputs[0].type])
            found = self._session.run(self._outputs, {self._inputs[0].name: zeros})[0]
        except Exception:  # noqa: BLE001 # ONNX Runtime raises what it likes; rows will show
            return 0
        return int(np.asarray(found).size)

    def _probabilities(self, answers: Matrix) -> Matrix:
        """Of logits, of their logarithms, or of the chance of the second class; else as it is."""
        if answers.shape[1] == 1:
            return np.hstack([1 - answers, answers]) if self._ending == "Sigmoid" else answers
        if self._ending in {"Softmax", "Sigmoid", "Normalizer"}:
            return answers
        with np.errstate(invalid="ignore"):  # what is no number goes on, and is refused outside
            made = np.exp(answers - answers.max(axis=1, keepdims=True))
            return np.asarray(made / made.sum(axis=1, keepdims=True), np.float64)
