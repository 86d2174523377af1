"""Models to serve: a stand-in for the room of models that can be made to misbehave."""

import pickle
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError, StateError, StrongroomError
from strongroom.services.models.types import Servable

Model = Any  # scikit-learn has no types

X, Y = load_breast_cancer(return_X_y=True)
FEATURES = tuple(str(name) for name in load_breast_cancer().feature_names)


@cache
def classifier() -> Model:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


@cache
def onnx_of(kind: str) -> bytes:
    model = classifier() if kind == "classifier" else Ridge().fit(X, X[:, 0])
    options = {id(model): {"zipmap": False}} if kind == "classifier" else None
    converted: bytes = skl2onnx.convert_sklearn(
        model, initial_types=[("input", FloatTensorType([None, len(FEATURES)]))], options=options
    ).SerializeToString()
    return converted


def onnx_servable(model: str = "tumour", version: int = 1) -> Servable:
    return Servable(
        model=model,
        version=version,
        digest=f"{version:064x}",
        onnx=onnx_of("classifier"),
        features=FEATURES,
        feature_types=("FP32",) * len(FEATURES),
        classes=("0", "1"),
    )


def regressor_servable() -> Servable:
    return replace(onnx_servable("radius"), onnx=onnx_of("regressor"), classes=())


@cache
def ward_model() -> Model:
    frame = pd.DataFrame({"age": [20.0, 40.0, 60.0, 30.0] * 10, "ward": ["a", "b", "c", "b"] * 10})
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["age"]), ("w", OneHotEncoder(handle_unknown="ignore"), ["ward"])]
    )
    model = make_pipeline(columns, LogisticRegression())
    return model.fit(frame, np.array(["low", "high", "high", "low"] * 10))


def confined_servable() -> Servable:
    """A model with a word among its features, served by its pickle in the sandbox."""
    return Servable(
        model="ward",
        version=1,
        digest="c" * 64,
        onnx=None,
        features=("age", "ward"),
        feature_types=("FP32", "BYTES"),
        classes=("high", "low"),
        files={"model.pkl": pickle.dumps(ward_model())},
    )


@dataclass
class Shelf:
    """Approved models by name and version."""

    models: dict[tuple[str, int], Servable] = field(default_factory=dict)
    error: StrongroomError | None = None
    fallen: dict[tuple[str, str, int], StrongroomError] = field(default_factory=dict)
    broken: dict[tuple[str, int], StrongroomError] = field(default_factory=dict)
    may_fall_back: bool = False

    def put(self, servable: Servable) -> None:
        self.models[servable.model, servable.version] = servable

    def servable(self, workspace: str, model: str, version: int) -> Servable:
        if self.error is not None:
            raise self.error
        if (model, version) in self.broken:
            raise self.broken[model, version]
        found = self.models.get((model, version))
        if found is None:
            raise NotFoundError(f"no model `{model}` version {version} in `{workspace}`")
        if found.digest == "unapproved":
            raise StateError("the model version is not approved")
        return found

    def falls_back(self, workspace: str) -> bool:
        assert workspace
        return self.may_fall_back

    def require_standing(self, session: Session, workspace: str, model: str, version: int) -> None:
        assert session.is_active
        if (workspace, model, version) in self.fallen:
            raise self.fallen[workspace, model, version]


def full_shelf() -> Shelf:
    shelf = Shelf()
    for servable in (
        onnx_servable(), onnx_servable(version=2), regressor_servable(), confined_servable(),
        replace(onnx_servable(version=9), digest="unapproved"),
        replace(onnx_servable("broken"), onnx=b"not onnx"),
        replace(onnx_servable("narrow"), features=FEATURES[:3], feature_types=("FP32",) * 3),
        replace(confined_servable(), model="dead", files={"model.pkl": b"cos\n_exit\n(K\x00tR."}),
    ):  # fmt: skip  # one list
        shelf.put(servable)
    return shelf
