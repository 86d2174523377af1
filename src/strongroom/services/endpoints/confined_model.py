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
    head: Head = {"classes": 0}
    body = b""
    if labels.dtype.kind in "fiub" and labels.ndim == 1:
        labels = labels.astype({"f": np.float64, "b": np.bool_}.get(labels.dtype.kind, np.int64))
        head["raw"] = labels.dtype.str[1:]
        body = labels.tobytes()
    else:
        head["words"] = [str(label) for label in labels.ravel()]
    if hasattr(model, "predict_proba"):
        probabilities = np.asarray(model.predict_proba(table), dtype=np.float64)
        head["classes"] = probabilities.shape[1]
        body += np.ascontiguousarray(probabilities).tobytes()
    return head, body
