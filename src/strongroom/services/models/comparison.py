"""Do a scikit-learn model and its ONNX form agree? Both run on many points. Inside the sandbox."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.engines.privacy.dp.training.model import AdditiveModel

TOLERANCE = 1e-5
_RANDOM_POINTS = 512
_BOUNDARY_POINTS = 1_024


def compare(
    model: Any,  # noqa: ANN401 # any model
    converted: bytes,
    about: dict[str, Any],
    place: Path,
) -> dict[str, Any]:
    """Run both on many points."""
    import numpy as np

    frame = _examples(place, about)
    points = _points(model, frame, about)
    ours = run_onnx(converted)
    labels, numbers = ours(points)
    expected_labels = np.asarray(model.predict(_for_sklearn(model, points, about)))
    difference, mismatches = 0.0, 0
    if hasattr(model, "predict_proba"):
        expected = np.asarray(model.predict_proba(_for_sklearn(model, points, about)))
        difference = float(np.max(np.abs(expected - numbers)))
        top = np.sort(expected, axis=1)
        # Where the two best classes tie within the tolerance, either label is right.
        is_tie = top[:, -1] - top[:, -2] <= 2 * TOLERANCE
        mismatches = int(np.sum((expected_labels.astype(str) != labels.astype(str)) & ~is_tie))
    elif getattr(model, "classes_", None) is not None:
        mismatches = int(np.sum(expected_labels.astype(str) != labels.astype(str)))
    else:
        # A regressor's numbers are compared relative to their size over all points.
        expected = expected_labels.astype(float)
        scale = np.maximum(max(1.0, float(np.std(expected))), np.abs(expected))
        difference = float(np.max(np.abs(expected - labels.reshape(expected.shape)) / scale))
    if not math.isfinite(difference):
        difference = 1e308
    return {
        "points_tried": len(points[0]),
        "largest_difference": difference,
        "label_mismatches": mismatches,
    }


def compare_additive(model: "AdditiveModel", converted: bytes) -> dict[str, Any]:
    """Run both at every cut, beside it, far out and without a value; and at every category."""
    import numpy as np
    import pyarrow as pa

    from strongroom.engines.privacy.dp.training.model import classes_of

    rng = np.random.default_rng(20_240_229)
    columns: list[Any] = []
    rows = 2 * _RANDOM_POINTS + max(
        3 * len(term.cuts) + 3 if term.values is None else len(term.values) + 1
        for term in model.terms
    )
    for term in model.terms:
        if term.values is None:
            cuts = np.array([*term.cuts, 0.0], np.float32)
            far = np.array([np.nan, np.inf, -np.inf], np.float32)
            beside = [np.nextafter(cuts, np.float32(side)) for side in (np.inf, -np.inf)]
            all_of = np.concatenate([cuts, *beside, far])
        else:
            all_of = np.array([*term.values, "unseen"], object)
        drawn = rng.choice(all_of, max(rows - len(all_of), 0))
        columns.append(rng.permutation(np.concatenate([all_of, drawn])[:rows]))
    labels, numbers = run_onnx(converted)(columns)
    table = pa.table({term.name: pa.array(one) for term, one in zip(model.terms, columns,
                                                                    strict=True)})  # fmt: skip
    scores, expected = model.scores(table), model.predict(table)
    if numbers is None:
        scale = np.maximum(1.0, np.abs(expected))
        difference, mismatches = float(np.max(np.abs(expected - labels[:, 0]) / scale)), 0
    else:
        difference = float(np.max(np.abs(expected - numbers[:, 1])))
        classes = np.array(classes_of(model.target), object)
        said = classes[(scores > 0).astype(int)]
        # Where both classes tie within the tolerance, either label is right.
        mismatches = int(np.sum((labels != said) & (np.abs(scores) > TOLERANCE)))
    return {
        "points_tried": rows,
        "largest_difference": difference if math.isfinite(difference) else 1e308,
        "label_mismatches": mismatches,
    }


def run_onnx(converted: bytes) -> Callable[[list[Any]], tuple[Any, Any]]:
    """A function from columns to (first output, second output or None)."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(converted, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()

    def run(columns: list[Any]) -> tuple[Any, Any]:
        if len(inputs) == 1 and inputs[0].name == "input":
            feed = {"input": np.column_stack(columns).astype(np.float32)}
        else:
            feed = {
                entry.name: np.asarray(column).reshape(-1, 1)
                for entry, column in zip(inputs, columns, strict=True)
            }
        found = session.run(None, feed)
        return found[0], found[1] if len(found) > 1 else None

    return run


def _for_sklearn(model: Any, columns: list[Any], about: dict[str, Any]) -> Any:  # noqa: ANN401 # table or array
    """The points as the model was fitted: a table with names, or a plain array."""
    import numpy as np

    if hasattr(model, "feature_names_in_") or picks_columns(model):
        import pandas as pd

        return pd.DataFrame(dict(zip(about["features"], columns, strict=True)))
    return np.column_stack(columns).astype(np.float64)


def _examples(place: Path, about: dict[str, Any]) -> list[list[Any]]:
    """The columns of the model's own input example, or none."""
    file = place / "serving_input_example.json"
    if not file.is_file() or file.stat().st_size > 16 * 2**20:
        return []
    example = json.loads(file.read_bytes())
    rows: list[list[Any]]
    if "dataframe_split" in example:
        rows = example["dataframe_split"]["data"]
    elif isinstance(example.get("inputs"), list):
        rows = [row if isinstance(row, list) else [row] for row in example["inputs"]]
    else:
        return []
    if not rows or any(len(row) != len(about["features"]) for row in rows):
        return []
    return [list(column) for column in zip(*rows[:1_000], strict=True)]


def _points(model: Any, examples: list[list[Any]], about: dict[str, Any]) -> list[Any]:  # noqa: ANN401 # any model
    """Columns of points to compare on; the generator is seeded, so a report can be repeated."""
    import numpy as np

    rng = np.random.default_rng(20_240_229)
    kinds = about["feature_types"]
    columns: list[Any] = []
    thresholds = _thresholds(model)
    for index, kind in enumerate(kinds):
        seen = [value for value in (examples[index] if examples else []) if value is not None]
        if kind == "BYTES":
            words = sorted({str(value) for value in seen} | _categories(model, index)) or ["a"]
            columns.append(rng.choice([*words, "unseen"], _RANDOM_POINTS + len(seen)))
            columns[-1] = columns[-1].astype(object)
            continue
        numbers = [float(value) for value in seen] + thresholds.get(index, [])
        low, high = _range(model, index, numbers)
        drawn = rng.uniform(low, high, _RANDOM_POINTS)
        drawn[:16] = [0.0, low, high, -low, -high, 2 * high, 1e3, -1e3, *([low] * 8)]
        columns.append(np.concatenate([drawn, [float(value) for value in seen]]))
    if "BYTES" in kinds:
        size = min(map(len, columns))
        columns = [column[:size] for column in columns]
        return [_as_type(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    size = min(map(len, columns))
    table = np.column_stack([column[:size] for column in columns]).astype(np.float32)
    beside = _beside_boundaries(model, table, thresholds, about, rng)
    table = np.concatenate([table, beside])
    return [_as_type(table[:, i], kind) for i, kind in enumerate(kinds)]


def _as_type(column: Any, kind: str) -> Any:  # noqa: ANN401 # arrays
    import numpy as np

    if kind == "INT64":
        return np.rint(column).astype(np.int64)
    if kind == "BOOL":
        return column > np.median(column)
    return column if kind == "BYTES" else column.astype(np.float32)


def _beside_boundaries(
    model: Any,  # noqa: ANN401 # any model
    table: Any,  # noqa: ANN401 # float32, rows of points
    thresholds: dict[int, list[float]],
    about: dict[str, Any],
    rng: Any,  # noqa: ANN401 # numpy generator
) -> Any:  # noqa: ANN401 # as `table`
    """Points at split values of trees and their float neighbours, and between unlike labels."""
    import numpy as np

    rows = []
    splits = [(index, value) for index, values in thresholds.items() for value in values]
    if len(splits) > _BOUNDARY_POINTS // 3:
        chosen = rng.choice(len(splits), _BOUNDARY_POINTS // 3, replace=False)
        splits = [splits[i] for i in chosen]
    for index, value in splits:
        middle = np.float32(value)
        for beside in (np.nextafter(middle, np.float32(-np.inf)), middle,
                       np.nextafter(middle, np.float32(np.inf))):  # fmt: skip  # three neighbours
            row = table[rng.integers(len(table))].copy()
            row[index] = beside
            rows.append(row)

    def label(points: Any) -> Any:  # noqa: ANN401 # arrays
        columns = [points[:, i] for i in range(points.shape[1])]
        return np.asarray(model.predict(_for_sklearn(model, columns, about))).astype(str)

    if getattr(model, "classes_", None) is not None:
        one, other = table, table[rng.permutation(len(table))]
        unlike = label(one) != label(other)
        one, other = one[unlike][:256], other[unlike][:256]
        # Ten halvings come within a thousandth of the way; nearer, 32-bit rounding decides.
        for _ in range(10 if len(one) else 0):
            half = ((one + other) / 2).astype(np.float32)
            is_like = (label(half) == label(one))[:, None]
            one, other = np.where(is_like, half, one), np.where(is_like, other, half)
        rows += [*one, *other]
    return np.asarray(rows, dtype=np.float32).reshape(-1, table.shape[1])


def _thresholds(model: Any) -> dict[int, list[float]]:  # noqa: ANN401 # any model
    """Split values of a tree or an ensemble of trees, by feature; empty for other models."""
    import numpy as np

    found: dict[int, list[float]] = {}
    trees = (
        [model] if hasattr(model, "tree_") else list(np.ravel(getattr(model, "estimators_", [])))
    )
    for tree in (item.tree_ for item in trees if hasattr(item, "tree_")):
        for feature, value in zip(tree.feature, tree.threshold, strict=True):
            if feature >= 0:
                found.setdefault(int(feature), []).append(float(value))
    for predictor in (item for group in getattr(model, "_predictors", []) for item in group):
        for node in predictor.nodes:
            if not node["is_leaf"]:
                found.setdefault(int(node["feature_idx"]), []).append(float(node["num_threshold"]))
    return found


def _range(model: Any, index: int, numbers: list[float]) -> tuple[float, float]:  # noqa: ANN401 # any model
    """Where a feature's values may lie: by examples and splits, by a scaler, or [-3, 3]."""
    import numpy as np

    finite = [value for value in numbers if math.isfinite(value)]
    if len(finite) > 1 and max(finite) > min(finite):
        spread = max(finite) - min(finite)
        return min(finite) - spread / 4, max(finite) + spread / 4
    for step in getattr(model, "steps", []):
        mean, scale = getattr(step[1], "mean_", None), getattr(step[1], "scale_", None)
        if mean is not None and scale is not None and index < len(np.ravel(mean)):
            return float(mean[index] - 3 * scale[index]), float(mean[index] + 3 * scale[index])
    return -3.0, 3.0


def _categories(model: Any, index: int) -> set[str]:  # noqa: ANN401 # any model
    """Words that the model's encoders know; which column they are for does not matter here."""
    words: set[str] = set()
    for step in getattr(model, "steps", []):
        for _, transformer, _ in getattr(step[1], "transformers_", []):
            for known in getattr(transformer, "categories_", []):
                words |= {str(word) for word in known}
    return set(sorted(words)[: 1_000 + index])


def picks_columns(model: Any) -> bool:  # noqa: ANN401 # any model
    """The model takes its columns by name, each in its own way."""
    steps = getattr(model, "steps", None)
    first = steps[0][1] if steps else model
    return type(first).__name__ == "ColumnTransformer"
