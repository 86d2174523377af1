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
from tests.gate.gatehouse import Gatehouse

from strongroom.engines.robustness.guards import guard, traffic
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Rows, Scores
from strongroom.errors import NotFoundError, StateError, StrongroomError
from strongroom.services.endpoints.guards import EndpointGuards, GuardShelf
from strongroom.services.models.fitted_guard import FittedGuard
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
def tumour_guard(*, is_squeezing: bool = False) -> FittedGuard:
    """Of the classifier, with a monitor that knows few honest streams."""
    low, high = X.min(axis=0), X.max(axis=0)
    space = Space(
        [
            Feature(name, *pair)
            for name, pair in zip(FEATURES, zip(low, high, strict=True), strict=True)
        ]
    )
    order = np.random.default_rng(7).permutation(len(X))
    points, labels = ((X - low) / (high - low))[order], Y[order]

    def predict(rows: Rows) -> Scores:
        return np.asarray(classifier().predict_proba(rows * (high - low) + low))

    settings = guard.Settings(rate=0.02, is_squeezing=is_squeezing)
    apart = points[350:], labels[350:]
    made = guard.fit((points[:350], labels[:350]), apart, predict, classes=2, settings=settings)
    habits = traffic.Habits(rate=0.05, streams=60, length=128)
    seen = traffic.fit(*apart, predict(apart[0]), habits=habits)
    return FittedGuard(f"{1:064x}", space, ("0", "1"), False, made, seen)


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
    guards: dict[tuple[str, int], str] = field(default_factory=dict)
    bundles: dict[str, FittedGuard | StrongroomError] = field(default_factory=dict)

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

    def guard_of(self, session: Session, workspace: str, model: str, version: int) -> str | None:
        assert session.is_active
        assert workspace
        return self.guards.get((model, version))

    def open_guard(self, session: Session, guard: str) -> FittedGuard:
        assert session.is_active
        found = self.bundles[guard]
        if isinstance(found, StrongroomError):
            raise found
        return found

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


def guards_of(house: Gatehouse, shelf: GuardShelf) -> EndpointGuards:
    """The guards of the endpoints of a house, in which nothing writes down alarms yet."""
    return EndpointGuards(house.database, shelf, house.keyring, house.log, clock=house.clock)
