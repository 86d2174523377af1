"""Recipes as plain data: stated beside a model, read where nothing is believed of it."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from strongroom.engines.robustness.hardening.columns import ColumnModel, ColumnRecipe
from strongroom.engines.robustness.hardening.stating import REFERENCES, Stated, read, state
from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import ValidationError

SPACE = Space([Feature("age", 20, 80), Feature("town", levels=("north", "south"))])


@pytest.mark.parametrize(
    ("model", "kind", "settings", "scaler"),
    [
        (DecisionTreeClassifier(max_depth=3), "DecisionTreeClassifier", {"max_depth": 3}, ""),
        (
            make_pipeline(StandardScaler(), MLPClassifier((8, 4), alpha=0.1)),
            "MLPClassifier", {"hidden_layer_sizes": [8, 4], "alpha": 0.1}, "StandardScaler",
        ),
        (
            make_pipeline(
                ColumnTransformer([
                    ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
                    ("c", OneHotEncoder(), ["town"]),
                ]),
                LogisticRegression(C=np.float64(2.0)),
            ),
            "LogisticRegression", {"C": 2.0}, "StandardScaler",
        ),
    ],
    ids=["tree", "network", "columns"],
)  # fmt: skip
def test_a_recipe_crosses_as_json(model: Any, kind: str, settings: Any, scaler: str) -> None:  # noqa: ANN401 # scikit-learn has no types
    crossed = json.loads(json.dumps(state(model)))
    stated = read(crossed)
    assert stated == Stated(kind, settings, scaler, is_own=True)
    built = stated.estimator(7).get_params()
    expected = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
    assert {name: built[name] for name in settings} == expected
    assert built["random_state"] == 7


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(PCA(1), DecisionTreeClassifier()),
        RandomForestClassifier(class_weight={0: 1.0, 1: 9.0}),
        type("DecisionTreeClassifier", (), {})(),
        object(),
    ],
    ids=["other step", "setting that is no plain one", "name alone", "anything"],
)
def test_what_cannot_be_repeated_is_not_stated(model: Any) -> None:  # noqa: ANN401 # any model
    assert state(model) == {"kind": ""}
    assert read(state(model)) is None


@pytest.mark.parametrize(
    "found",
    [
        {"kind": "os.system", "settings": {}, "scaler": ""},
        {"kind": "RandomForestClassifier", "settings": {"n_estimators": 10**9}, "scaler": ""},
        {"kind": "RandomForestClassifier", "settings": {"n_jobs": 64}, "scaler": ""},
        {"kind": "RandomForestClassifier", "settings": {"__class__": "x"}, "scaler": ""},
        {"kind": "RandomForestClassifier", "settings": {"criterion": "g" * 99}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": {"C": float("nan")}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": {"C": float("inf")}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": {}, "scaler": "FunctionTransformer"},
        {"kind": "MLPClassifier", "settings": {"hidden_layer_sizes": [10**6]}, "scaler": ""},
        {"kind": "MLPClassifier", "settings": {"hidden_layer_sizes": 10**5}, "scaler": ""},
        {"kind": "MLPClassifier", "settings": {"hidden_layer_sizes": [True]}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": {"C": {"a": 1}}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": [], "scaler": ""},
        {"kind": ["LogisticRegression"], "settings": {}, "scaler": ""},
        {"kind": "LogisticRegression", "settings": {}, "scaler": ["x"]},
        {},
    ],
)
def test_nothing_is_believed_of_what_is_read(found: dict[str, Any]) -> None:
    assert read(found) is None


def test_a_model_takes_values_and_lacks_what_was_dropped() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.random(80), *np.eye(2)[rng.integers(2, size=80)].T])
    labels = (rows[:, 0] > 0.5).astype(np.int64)
    recipe = ColumnRecipe(REFERENCES["logistic"], SPACE, ("no", "yes"))
    model = recipe.fit(rows, labels, 0)
    assert isinstance(model, ColumnModel)
    assert (model(rows).argmax(axis=1) == labels).mean() > 0.9
    values = model.recipe.values(rows)
    assert values["age"].between(20, 80).all()
    assert model.pipeline.predict(values).tolist()[:2] == [["no", "yes"][one] for one in labels[:2]]

    slim = recipe.without(["town"]).fit(rows, labels, 0)
    assert isinstance(slim, ColumnModel)
    assert slim.pipeline.n_features_in_ == 1
    assert slim.recipe.values(rows).shape == (80, 1)
    rows[::2, 0] = np.nan  # missing numbers are filled in where the recipe says so
    filled = ColumnRecipe(REFERENCES["logistic"], SPACE, ("no", "yes"), fills=True)
    assert np.isfinite(filled.fit(rows, labels, 0)(rows)).all()


def test_recipes_that_make_no_model_are_refused() -> None:
    with pytest.raises(ValidationError, match="with classes"):
        ColumnRecipe(REFERENCES["forest"], SPACE, ())
    with pytest.raises(ValidationError, match="no feature `size`"):
        ColumnRecipe(REFERENCES["forest"], SPACE, ("a", "b"), frozenset({"size"}))
    with pytest.raises(ValidationError, match="not dropped"):
        ColumnRecipe(REFERENCES["forest"], SPACE, ("a", "b")).without(["age", "town"])
    recipe = ColumnRecipe(REFERENCES["forest"], SPACE, ("a", "b"))
    with pytest.raises(ValidationError, match="one class"):
        recipe.fit(np.zeros((4, 3)), np.zeros(4, dtype=np.int64), 0)
