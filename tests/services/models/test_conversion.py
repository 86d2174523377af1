"""Conversion to ONNX: exact or honestly refused, and never outside the sandbox."""

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from strongroom.engines.privacy.dp.training.domain import Choice
from strongroom.engines.privacy.dp.training.model import AdditiveModel, Term
from strongroom.services.jobs.sandbox import DEFAULT_REQUIRED, LayerMissingError
from strongroom.services.models.comparison import TOLERANCE
from strongroom.services.models.confined_conversion import FOREIGN_ONNX
from strongroom.services.models.conversion import ConversionReport, convert

Model = Any  # scikit-learn has no types; nor have arrays of rows

X, Y = load_breast_cancer(return_X_y=True)


def predict(report: ConversionReport, rows: Model) -> list[Any]:
    assert report.onnx is not None
    session = onnxruntime.InferenceSession(report.onnx)
    found: list[Any] = session.run(None, {"input": np.asarray(rows, dtype=np.float32)})
    return found


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        GradientBoostingClassifier(n_estimators=20),
        RandomForestClassifier(n_estimators=10),
        HistGradientBoostingClassifier(max_iter=20),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_is_converted_exactly(model: Model, tmp_path: Path) -> None:
    model.fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    report = convert(tmp_path)
    assert report.reason == ""
    assert (report.kind, report.classes) == ("sklearn", ("0", "1"))
    assert report.points_tried > 500
    assert report.largest_difference <= TOLERANCE
    assert report.layers >= DEFAULT_REQUIRED
    assert set(report.versions) == {"onnx", "onnxruntime", "scikit-learn", "skl2onnx"}
    labels, probabilities = predict(report, X)
    rounded = X.astype(np.float32)
    assert (labels == model.predict(rounded)).all()
    assert np.abs(probabilities - model.predict_proba(rounded)).max() < TOLERANCE


def test_a_multiclass_table_with_names_from_skops(tmp_path: Path) -> None:
    import skops.io  # goes through all of scikit-learn

    frame, target = load_iris(return_X_y=True, as_frame=True)
    model = HistGradientBoostingClassifier(max_iter=10).fit(frame, target)
    skops.io.dump(model, tmp_path / "model.skops")
    report = convert(tmp_path)
    assert report.reason == ""
    assert report.features == tuple(frame.columns)
    assert report.classes == ("0", "1", "2")


@pytest.mark.parametrize("model", [Ridge(), HistGradientBoostingRegressor(max_iter=20)])
def test_a_regressor_given_as_bytes(model: Model) -> None:
    data, target = load_diabetes(return_X_y=True)
    model.fit(data, target)
    report = convert({"model.pkl": pickle.dumps(model)})
    assert report.reason == ""
    values = predict(report, data)[0].ravel()
    expected = model.predict(data.astype(np.float32))
    assert np.abs(values - expected).max() < TOLERANCE * np.abs(expected).max()


def test_an_mlflow_folder_with_words_and_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [20.0, 40.0, 60.0, 30.0] * 10, "ward": ["a", "b", "c", "b"] * 10})
    target = [0, 1, 1, 0] * 10
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["age"]), ("w", OneHotEncoder(handle_unknown="ignore"), ["ward"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, target)
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  sklearn: {pickled_model: model.pkl}\nsignature:\n  inputs: "
        '\'[{"type": "double", "name": "age"}, {"type": "string", "name": "ward"}]\'\n'
    )
    (tmp_path / "serving_input_example.json").write_text(
        '{"dataframe_split": {"columns": ["age", "ward"], "data": [[20, "a"], [60, "c"]]}}'
    )
    joblib.dump(model, tmp_path / "model.pkl")
    report = convert(tmp_path)
    assert report.reason == ""
    assert report.feature_types == ("FP32", "BYTES")
    assert report.onnx is not None
    session = onnxruntime.InferenceSession(report.onnx)
    assert [entry.name for entry in session.get_inputs()] == ["age", "ward"]
    # What comes as ONNX is looked at and described, and not run in the server.
    again = convert({"model.onnx": report.onnx})
    assert (again.kind, again.onnx, again.reason) == ("onnx", None, FOREIGN_ONNX)


class Odd(LogisticRegression):  # type: ignore[misc] # sklearn has no types
    """A class that skl2onnx does not know."""


def test_what_has_no_converter_gets_a_reason(tmp_path: Path) -> None:
    from sklearn.semi_supervised import LabelSpreading

    model = LabelSpreading().fit(X[:50], Y[:50])
    joblib.dump(model, tmp_path / "model.joblib")
    report = convert(tmp_path)
    assert not report.is_exact
    assert report.reason.startswith("no conversion: ")
    assert report.model_class.endswith("LabelSpreading")


def test_a_missing_class_gets_a_reason(tmp_path: Path) -> None:
    joblib.dump(Odd().fit(X[:50, :2], Y[:50]), tmp_path / "model.joblib")
    report = convert(tmp_path)
    assert report.onnx is None
    assert "ModuleNotFoundError" in report.reason or "AttributeError" in report.reason


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARK}",)


MARK = ""


def test_a_hostile_pickle_runs_only_inside(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    globals()["MARK"] = str(mark)
    report = convert({"model.pkl": pickle.dumps(Hostile())})
    assert not report.is_exact
    assert not mark.exists()


def test_a_model_that_lies_about_itself_is_not_believed() -> None:
    """Code in the pickle cannot forge a good report, for its files are checked for presence."""
    report = convert({"model.pkl": b"\x80\x04cos\n_exit\n(K\x00tR."})
    assert (report.onnx, report.kind) == (None, "other")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"model.pkl": b""},
        {"model.onnx": b"not onnx"},
        {"MLmodel": b"{"},
        {"MLmodel": b"flavors: {sklearn: {pickled_model: ../../../etc/passwd}}"},
        {"MLmodel": b"flavors: {pytorch: {}}"},
        {"a.pkl": b"", "b.pkl": b""},
    ],
)
def test_odd_folders_get_a_reason(files: dict[str, bytes]) -> None:
    report = convert(files)
    assert report.onnx is None
    assert report.reason


def test_nothing_is_loaded_without_the_required_layers() -> None:
    with pytest.raises(LayerMissingError):
        convert({"model.pkl": pickle.dumps(1)}, required=["a layer that does not exist"])


def test_an_additive_model_is_converted_exactly(tmp_path: Path) -> None:
    model = AdditiveModel(
        0.25,
        (Term("age", (-1.0, 0.5, 2.0, -0.25), cuts=(20.0, 40.0)),
         Term("town", (1.0, -1.0, 0.125), values=("north", "south"))),
        Choice("rich", ("no", "yes")),
    )  # fmt: skip
    (tmp_path / "model.additive.json").write_text(model.to_json())
    report = convert(tmp_path)
    assert (report.reason, report.kind) == ("", "additive")
    assert report.features == ("age", "town")
    assert report.feature_types == ("FP32", "BYTES")
    assert report.classes == ("no", "yes")
    assert report.points_tried > 500
    assert report.largest_difference <= TOLERANCE


def test_a_damaged_additive_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "model.additive.json").write_text('{"format": "strongroom-additive-model"}')
    report = convert(tmp_path)
    assert report.onnx is None
    assert "no conversion" in report.reason
