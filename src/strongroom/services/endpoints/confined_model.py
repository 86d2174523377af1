"""A model that answers inside the sandbox; the server's side is `runners.ConfinedRunner`."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from strongroom.services.models import confined_conversion

Head = dict[str, Any]


def start(argument: Head, folder: Path) -> Callable[[Head, bytes], tuple[Head, bytes]]:
    """Load the model of the folder, and give the function that answers for rows."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    about = confined_conversion.describe(folder / "in")
    if about["kind"] == "onnx":
        return _start_onnx((folder / "in" / about["file"]).read_bytes())
    model = confined_conversion.load(folder / "in")
    features = argument["features"]
    has_names = hasattr(model, "feature_names_in_")

    def handle(head: Head, body: bytes) -> tuple[Head, bytes]:
        columns = _columns(head, body)
        if has_names or any(column.dtype == object for column in columns):
            import pandas as pd

            table: Any = pd.DataFrame(dict(zip(features, columns, strict=True)))
        else:
            table = np.column_stack(columns)
        return _answer(model, table)

    return handle


def _start_onnx(data: bytes) -> Callable[[Head, bytes], tuple[Head, bytes]]:
    """An ONNX model that people brought: the runtime runs it here, not in the server."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    outputs = [entry.name for entry in session.get_outputs()][:2]
    is_matrix = len(inputs) == 1 and len(inputs[0].shape) == 2

    def handle(head: Head, body: bytes) -> tuple[Head, bytes]:
        columns = _columns(head, body)
        if is_matrix:
            feed = {inputs[0].name: np.column_stack(columns).astype(_ONNX_TYPES[inputs[0].type])}
        else:
            feed = {
                entry.name: column.reshape(-1, 1).astype(_ONNX_TYPES[entry.type])
                for entry, column in zip(inputs, columns, strict=True)
            }
        found = session.run(outputs, feed)
        labels = np.asarray(found[0])
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        # Any other second output than a table of numbers is none of probabilities.
        given = np.asarray(found[1]) if len(found) > 1 else None
        if given is not None and (given.ndim != 2 or given.dtype.kind != "f"):
            given = None
        return _packed(labels, given)

    return handle


_ONNX_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(string)": object,
}  # fmt: skip


def _columns(head: Head, body: bytes) -> list[Any]:
    columns: list[Any] = []
    offset, rows = 0, head["rows"]
    for described in head["columns"]:
        if "words" in described:
            columns.append(np.array(described["words"], dtype=object))
            continue
        kind = np.dtype(described["raw"])
        columns.append(np.frombuffer(body, dtype=kind, count=rows, offset=offset))
        offset += kind.itemsize * rows
    return columns


def _answer(model: Any, table: Any) -> tuple[Head, bytes]:  # noqa: ANN401 # any model
    labels = np.asarray(model.predict(table))
    has_probabilities = hasattr(model, "predict_proba")
    return _packed(labels, np.asarray(model.predict_proba(table)) if has_probabilities else None)


def _packed(labels: Any, probabilities: Any) -> tuple[Head, bytes]:  # noqa: ANN401 # arrays
    head: Head = {"classes": 0}
    body = b""
    if labels.dtype.kind in "fiub" and labels.ndim == 1:
        labels = labels.astype({"f": np.float64, "b": np.bool_}.get(labels.dtype.kind, np.int64))
        head["raw"] = labels.dtype.str[1:]
        body = labels.tobytes()
    else:
        head["words"] = [str(label) for label in labels.ravel()]
    if probabilities is not None:
        head["classes"] = probabilities.shape[1]
        body += np.ascontiguousarray(probabilities, dtype=np.float64).tobytes()
    return head, body
