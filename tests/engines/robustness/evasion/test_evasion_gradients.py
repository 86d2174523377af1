"""Slopes against differences and against torch."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from tests.engines.robustness.evasion.evasion_models import breast

from strongroom.engines.robustness.evasion import gradients
from strongroom.errors import ValidationError


def by_differences(
    gradient: gradients.Gradient, points: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    made = np.zeros_like(points)
    for place in range(points.shape[1]):
        step = np.zeros(points.shape[1])
        step[place] = 1e-6
        above, below = gradient(points + step, labels)[0], gradient(points - step, labels)[0]
        made[:, place] = (above - below) / 2e-6
    return made


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("classes", [2, 3])
def test_slopes_of_networks(activation: gradients.Activation, classes: int) -> None:
    fit, labels, points, _ = breast()
    labels = labels if classes == 2 else (labels + (fit[:, 0] > 0.5)).astype(np.int64)
    model = MLPClassifier((8, 6), activation=activation, max_iter=3, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        model.fit(fit, labels)
    gradient = gradients.of_estimator(model)
    assert gradient is not None
    own = model.predict(points[:9]).astype(np.int64)
    margins, slopes = gradient(points[:9], own)
    assert (margins >= 0).all()
    assert slopes == pytest.approx(by_differences(gradient, points[:9], own), abs=1e-5)


def test_slopes_of_logistic_regression_are_its_weights() -> None:
    fit, labels, points, truth = breast()
    model = LogisticRegression().fit(fit, labels)
    gradient = gradients.of_estimator(model)
    assert gradient is not None
    margins, slopes = gradient(points[:5], truth[:5])
    side = np.where(truth[:5] == 1, 1.0, -1.0)
    assert slopes == pytest.approx(side[:, None] * model.coef_)
    assert margins == pytest.approx(side * model.decision_function(points[:5]))
    assert gradients.of_estimator(DecisionTreeClassifier().fit(fit, labels)) is None


def test_slopes_of_a_torch_module_are_those_of_the_same_network() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 7)), rng.normal(size=(7, 3))]
    biases = [rng.normal(size=7), rng.normal(size=3)]
    layers = [torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)]
    for layer, weight, bias in zip(layers, weights, biases, strict=True):
        layer.weight.data = torch.tensor(weight.T, dtype=torch.float32)
        layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    module = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    points, labels = rng.random((6, 5)), np.array([0, 1, 2, 0, 1, 2])
    theirs = gradients.of_module(module)(points, labels)
    ours = gradients.of_network(weights, biases, "relu")(points, labels)
    assert theirs[0] == pytest.approx(ours[0], abs=1e-4)
    assert theirs[1] == pytest.approx(ours[1], abs=1e-4)


def test_a_network_of_one_logit_is_refused() -> None:
    with pytest.raises(ValidationError, match="two logits"):
        gradients.of_network([np.ones((3, 1))], [np.zeros(1)], "relu")
