"""Models as the libraries themselves save them: not one false alarm."""

import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.special
import scipy.stats
import skl2onnx
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 # lets it be imported
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators
from tests.engines.scanning.scan_bytes import assert_clean, rules, scan, scan_folder

from strongroom.engines.scanning.findings import Verdict

FEW = {"n_estimators": 3, "n_init": 1, "max_leaf_nodes": 4, "n_components": 2}


def fitted() -> Iterator[Any]:
    """Every estimator of scikit-learn that fits this small table with its defaults."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x, y = StandardScaler().fit_transform(x[:60, :4]), y[:60]
    for name, cls in all_estimators():
        if name in ("GraphicalLassoCV", "MultiTaskElasticNetCV", "MultiTaskLassoCV"):
            continue  # slow, and of classes met elsewhere
        try:
            model = cls()
            known = model.get_params()
            # What is pickled is the same, only less of it.
            model.set_params(**{key: few for key, few in FEW.items() if key in known})
            yield model.fit(x, y)
        except Exception:  # noqa: BLE001, S112 # it wants other data or arguments
            continue


@pytest.fixture(scope="module")
def models() -> list[BaseEstimator]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(fitted())


def test_every_estimator_in_every_protocol(models: list[BaseEstimator]) -> None:
    assert len(models) > 100
    for number, model in enumerate(models):
        assert_clean(pickle.dumps(model, number % 6))
        assert_clean(pickle.dumps(model))


def test_every_estimator_through_joblib(models: list[BaseEstimator]) -> None:
    ways = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 0), ("xz", 0)]
    for number, model in enumerate(models):
        for compress in (0, ways[number % len(ways)]):
            buffer = io.BytesIO()
            joblib.dump(model, buffer, compress=compress)
            assert_clean(buffer.getvalue())


def test_every_estimator_through_skops(models: list[BaseEstimator]) -> None:
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    for model in models:
        try:
            data = skops.io.dumps(model)
        except UnsupportedTypeException:
            continue
        report = scan(data)
        assert report.verdict is Verdict.CLEAN, (model, report.findings)
        assert report.data_only


def test_pipelines() -> None:
    frame = pd.DataFrame({"age": [30.0, None, 41.0, 50.0] * 5, "sex": ["f", "m", None, "f"] * 5})
    columns = ColumnTransformer(
        [
            ("a", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("b", OneHotEncoder(handle_unknown="ignore"), ["sex"]),
        ]
    )
    model = make_pipeline(columns, SimpleImputer(), FunctionTransformer(np.square))
    search = GridSearchCV(
        make_pipeline(columns, SimpleImputer(), LogisticRegression()), {}, cv=2, scoring="f1"
    )
    for estimator in (model, search):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(frame, [0, 1] * 10)
        for protocol in range(6):
            assert_clean(pickle.dumps(estimator, protocol))


def test_what_people_set_beside_the_defaults() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    models: list[Any] = [
        GradientBoostingRegressor(loss="huber", n_estimators=2).fit(x, x[:, 0]),
        HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=2).fit(x, x[:, 0]),
        IterativeImputer(max_iter=1).fit(x),
        make_column_selector("^age", dtype_include=np.number),
        SelectKBest(mutual_info_classif, k=1),
        FunctionTransformer(np.nan_to_num),
        FunctionTransformer(scipy.special.expit),
        RandomizedSearchCV(LogisticRegression(), {"C": scipy.stats.gamma(2.0)}),
        make_scorer(mean_pinball_loss),
        SimpleNamespace(columns=["a"]),
    ]
    for model in models:
        for protocol in (0, 2, 5):
            assert_clean(pickle.dumps(model, protocol))


def test_values_that_models_carry() -> None:
    rng = np.random.default_rng(1)
    values: list[Any] = [
        rng.normal(size=(30, 3)),
        np.array(["a", None, 1], dtype=object),
        np.array([(1, "x")], dtype=[("a", "i4"), ("b", "U3")]),
        np.ma.masked_array([1, 2], [True, False]),
        scipy.sparse.csr_matrix(np.eye(4)),
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.to_datetime(["2020-01-01"] * 2)}),
        pd.Series(pd.Categorical(["x", "y"])),
        {"set": {1}, "bytes": b"\x00" * 500, "range": range(3), "big": 1 << 200},
        np.random.RandomState(3),
        rng,
        [PurePosixPath("a/b"), PureWindowsPath("c:/d"), Path("/e")],
    ]
    for value in values:
        for protocol in range(6):
            assert_clean(pickle.dumps(value, protocol))
        buffer = io.BytesIO()
        joblib.dump(value, buffer)
        assert_clean(buffer.getvalue())


def test_arrays_of_numpy() -> None:
    for array in (np.eye(3), np.array(5), np.array(["a"]), np.zeros(2, "i4,U3"), np.zeros((0, 3))):
        buffer = io.BytesIO()
        np.save(buffer, array)
        assert_clean(buffer.getvalue())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.eye(100), b=np.arange(4))
    report = scan(buffer.getvalue())
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "npz")
    buffer = io.BytesIO()
    np.save(buffer, np.array([1, "a"], dtype=object))
    assert_clean(buffer.getvalue())


def test_onnx() -> None:
    x, y = datasets.load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    data = skl2onnx.to_onnx(model, x[:1].astype(np.float32)).SerializeToString()
    report = scan(data, "model.bin")
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "onnx")
    assert report.data_only


@pytest.mark.parametrize("serialization", ["skops", "cloudpickle", "pickle"])
def test_folders_of_mlflow(
    tmp_path: Path, serialization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn

        x, y = datasets.load_iris(return_X_y=True, as_frame=True)
        model = LogisticRegression(max_iter=500).fit(x, y)
        mlflow.sklearn.save_model(
            model,
            tmp_path / "m",
            serialization_format=serialization,
            input_example=x[:2],
            pip_requirements=["scikit-learn==1.9.1", "mlflow"],
        )
    files = {
        str(path.relative_to(tmp_path / "m")): path.read_bytes()
        for path in (tmp_path / "m").rglob("*")
        if path.is_file()
    }
    assert "MLmodel" in files
    report = scan_folder(files)
    assert report.verdict is Verdict.CLEAN, report.findings
    assert report.data_only is (serialization == "skops")
    assert rules(report) == {"SR-PKG-001"}  # MLflow itself has no version there, which is told
