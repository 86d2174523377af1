"""Models as subjects: what they say of their inside, and how they are asked through requests."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from strongroom.engines.robustness.evasion import trees
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import SandboxError, ValidationError
from strongroom.services.models import confined_subject, model_inside
from strongroom.services.models.subjects import AssessedModel

ROWS, LABELS = load_wine(return_X_y=True)
SPACE = Space([
    Feature(f"x{at}", float(ROWS[:, at].min()), float(ROWS[:, at].max()))
    for at in range(ROWS.shape[1])
])  # fmt: skip
POINTS = SPACE.encode({f"x{at}": ROWS[:, at] for at in range(ROWS.shape[1])})
TWO = LABELS < 2


class InProcess:
    """A model's sandbox without the sandbox: the same requests, the same answers."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 # scikit-learn has no types
        self._subject = confined_subject._Subject(confined_subject._Estimator(model, {}))

    def __call__(self, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        return self._subject.handle(head, body)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        make_pipeline(StandardScaler(), RandomForestClassifier(8, random_state=0)),
        make_pipeline(MinMaxScaler(), GradientBoostingClassifier(n_estimators=5, random_state=0)),
        HistGradientBoostingClassifier(max_iter=5, early_stopping=False),
    ],
    ids=["tree", "scaled forest", "boosting", "histogram boosting"],
)
@pytest.mark.parametrize("chosen", [np.ones_like(TWO), TWO], ids=["three", "two"])
def test_trees_come_out_as_they_are(model: Any, chosen: np.ndarray) -> None:  # noqa: ANN401 # scikit-learn has no types
    model.fit(ROWS[chosen], LABELS[chosen])
    inside = AssessedModel(InProcess(model)).inside(SPACE)
    assert isinstance(inside.exact, Trees)
    scores = inside.exact.scores(POINTS[chosen])
    np.testing.assert_array_equal(scores.argmax(axis=1), model.predict(ROWS[chosen]))


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=5_000),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(RobustScaler(), MinMaxScaler(), MLPClassifier((8,), max_iter=300)),
    ],
    ids=["linear", "scaled linear", "twice scaled network"],
)
@pytest.mark.parametrize("chosen", [np.ones_like(TWO), TWO], ids=["three", "two"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_slopes_are_those_of_the_model(model: Any, chosen: np.ndarray) -> None:  # noqa: ANN401 # scikit-learn has no types
    model.fit(ROWS[chosen], LABELS[chosen])
    inside = AssessedModel(InProcess(model)).inside(SPACE)
    assert inside.gradient is not None
    points, labels = POINTS[chosen], LABELS[chosen].astype(np.int64)
    leads, slopes = inside.gradient(points, labels)
    # The right class leads just where the model answers it.
    np.testing.assert_array_equal(leads > 0, model.predict(ROWS[chosen]) == labels)
    step = 1e-6
    for at in (0, 7):
        moved = points.copy()
        moved[:, at] += step
        by_difference = (inside.gradient(moved, labels)[0] - leads) / step
        close = np.isclose(by_difference, slopes[:, at], rtol=1e-3, atol=1e-3)
        assert close.mean() > 0.95  # beside a kink the two may differ
    assert isinstance(inside.exact, tuple) is (not hasattr(model[-1] if len(
        getattr(model, "steps", [])) else model, "coefs_"))  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [SVC(), make_pipeline(QuantileTransformer(n_quantiles=20), LogisticRegression())],
    ids=["kernel", "no scaler"],
)
def test_other_models_say_nothing(model: Any) -> None:  # noqa: ANN401 # scikit-learn has no types
    inside = AssessedModel(InProcess(model.fit(ROWS, LABELS))).inside(SPACE)
    assert (inside.exact, inside.gradient) == (None, None)


def test_nonsense_from_the_sandbox_is_no_inside() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(ROWS, LABELS)
    head, body = model_inside.stated(tree)
    for wrong, content in (
        ({**head, "kind": "weather"}, body),
        ({**head, "shapes": head["shapes"][:-1]}, body),
        ({**head, "shapes": [[1 << 62]] * 7}, body),
        ({**head, "shapes": "all"}, body),
        (head, body[:-8]),
        (head, np.full(len(body) // 8, np.nan).tobytes()),
        (head, np.full(len(body) // 8, 1e300).tobytes()),
        ({"kind": "network", "activation": "relu", "shapes": []}, b""),
        ({"kind": "network", "activation": "exec", "shapes": [[13, 2], [2]]}, bytes(8 * 28)),
    ):
        found = model_inside.understood(wrong, content, SPACE)
        assert (found.exact, found.gradient) == (None, None), wrong
    numbers, _ = trees.of_regressor(DecisionTreeRegressor(max_depth=2).fit(ROWS, LABELS)) or (
        None,
        0,
    )
    assert numbers is not None
    arrays = [np.asarray(getattr(numbers, name), np.float64) for name in model_inside._TREE_ARRAYS]
    single = model_inside.understood(*model_inside._packed("trees", "", arrays), SPACE)
    assert single.exact is None  # one number a leaf is no classifier
    worded = Space([Feature("a", levels=("x", "y"))])
    assert model_inside.understood(head, body, worded).exact is None


def test_another_model_is_fitted_and_forgotten() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(ROWS, LABELS)
    sandbox = InProcess(tree)
    model = AssessedModel(sandbox)
    predict = model.predict(SPACE, 3)
    np.testing.assert_array_equal(predict(POINTS).argmax(axis=1), LABELS)
    recipe = model.recipe(SPACE, 3)
    assert recipe is not None
    assert recipe.is_own
    half = np.arange(len(LABELS)) % 2 == 0
    fitted = recipe.fit(POINTS[half], LABELS[half].astype(np.int64), 7)
    # A tree fitted by hand on the same values answers the same.
    values = SPACE.matrix(POINTS)
    own = DecisionTreeClassifier(random_state=7).fit(values[half], LABELS[half])
    np.testing.assert_array_equal(fitted(POINTS), own.predict_proba(values))
    assert (fitted(POINTS[~half]).argmax(axis=1) == LABELS[~half]).mean() > 0.8
    assert len(sandbox._subject._fitted) == 1
    del fitted
    predict(POINTS[:1])
    assert not sandbox._subject._fitted


def test_a_class_that_was_not_seen_gets_nothing() -> None:
    model = AssessedModel(InProcess(DecisionTreeClassifier().fit(ROWS, LABELS)))
    model.predict(SPACE, 3)
    recipe = model.recipe(SPACE, 3)
    assert recipe is not None
    scores = recipe.fit(POINTS[TWO], LABELS[TWO].astype(np.int64), 1)(POINTS)
    assert scores.shape == (len(ROWS), 3)
    assert (scores[:, 2] == 0).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"features": 1}, {"features": ["x" * 1_000]}, {"classes": [1]}, {"count": -1},
        {"count": "many"}, {"classes": ["a"] * 2_000},
    ],
    ids=["no list", "a long name", "no text", "negative", "no number", "too many"],
)  # fmt: skip
def test_a_model_that_says_nonsense_of_itself_is_refused(changed: dict[str, Any]) -> None:
    about = InProcess(DecisionTreeClassifier().fit(ROWS, LABELS))({"do": "about"}, b"")[0]
    with pytest.raises(ValidationError, match="model"):
        AssessedModel(lambda _head, _body: ({**about, **changed}, b""))


def test_answers_of_another_shape_are_refused() -> None:
    model = AssessedModel(InProcess(DecisionTreeClassifier().fit(ROWS, LABELS)))
    with pytest.raises(SandboxError, match="3 numbers a row, 2 were expected"):
        model.predict(SPACE, 2)(POINTS)
