"""A model's numbers in its place: only while they agree, and from no model that says nonsense."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Rows, Scores
from strongroom.errors import ValidationError
from strongroom.services.models.replicated import Replicated, packed, replicated, unpacked

ROWS, LABELS = load_wine(return_X_y=True)
SPACE = Space([
    Feature(f"x{at}", float(ROWS[:, at].min()), float(ROWS[:, at].max())) for at in range(13)
])  # fmt: skip
POINTS = SPACE.encode({f"x{at}": ROWS[:, at] for at in range(13)})
FOREST = RandomForestClassifier(9, random_state=0).fit(ROWS, LABELS)
LINEAR = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)


class Asked:
    """The model itself, with the rows it was asked; from `turns` on it answers otherwise."""

    def __init__(self, model: Any = FOREST, turns: float = np.inf) -> None:  # noqa: ANN401 # scikit-learn has no types
        self._model, self._turns = model, turns
        self.rows = 0

    def __call__(self, rows: Rows) -> Scores:
        scores = np.asarray(self._model.predict_proba(SPACE.matrix(rows)))
        self.rows += len(rows)
        return scores[:, ::-1] if self.rows > self._turns else scores


@pytest.mark.parametrize("model", [FOREST, LINEAR], ids=["trees", "layers"])
def test_numbers_stand_for_a_model(model: Any) -> None:  # noqa: ANN401 # scikit-learn has no types
    asked = Asked(model)
    answers, remark = replicated(unpacked(*packed(model, 13), 13), SPACE, asked, [POINTS], 1)
    assert isinstance(answers, Replicated)
    assert "all 678 rows" in remark
    before = asked.rows
    for _ in range(300):
        np.testing.assert_allclose(answers(POINTS[:40]), Asked(model)(POINTS[:40]), atol=1e-12)
    assert 0 < asked.rows - before < 1_000  # one in 32 of 12,000
    missing = POINTS[:3].copy()
    missing[1, 4] = np.nan
    before = asked.rows
    if model is FOREST:
        answers(missing)
        assert asked.rows == before + 3


def test_numbers_stand_for_a_regression_by_their_size() -> None:
    """Sums of large numbers in another order differ by more than probabilities do."""
    prices = 1e6 * ROWS[:, 12]
    boosting = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(ROWS, prices)

    def asked(rows: Rows) -> Scores:
        return np.asarray(boosting.predict(SPACE.matrix(rows)), dtype=np.float64)[:, None]

    replica = unpacked(*packed(boosting, 13), 13)
    answers, remark = replicated(replica, SPACE, asked, [POINTS], 1)
    assert isinstance(answers, Replicated)
    assert "answer as it does" in remark
    np.testing.assert_allclose(answers(POINTS), asked(POINTS), rtol=1e-12)
    other, remark = replicated(replica, SPACE, lambda rows: asked(rows) * (1 + 1e-9), [POINTS], 1)
    assert "otherwise" in remark
    assert not isinstance(other, Replicated)


def test_a_model_of_other_answers_is_asked_itself() -> None:
    asked = Asked(turns=0)
    answers, remark = replicated(unpacked(*packed(FOREST, 13), 13), SPACE, asked, [POINTS], 1)
    assert answers is asked
    assert "asked itself" in remark


def test_a_model_that_turns_later_is_found_out_and_asked_from_then_on() -> None:
    asked = Asked(turns=700)
    answers, _ = replicated(unpacked(*packed(FOREST, 13), 13), SPACE, asked, [POINTS], 1)
    many = np.repeat(POINTS, 80, axis=0)
    with pytest.raises(ValidationError, match="otherwise than its own numbers"):
        answers(many)
    np.testing.assert_array_equal(answers(POINTS), Asked()(POINTS)[:, ::-1])


def test_words_and_unknown_models_are_asked() -> None:
    asked = Asked()
    assert replicated(None, SPACE, asked, [POINTS], 1) == (asked, "")
    worded = Space([Feature("a", levels=("x", "y"))])
    numbers = unpacked(*packed(FOREST, 13), 13)
    assert replicated(numbers, worded, asked, [POINTS], 1) == (asked, "")


def test_nonsense_from_the_sandbox_is_no_replica() -> None:
    for model in (FOREST, LINEAR):
        head, body = packed(model, 13)
        assert unpacked(head, body, 13) is not None
        for wrong in (
            {**head, "kind": "none"}, {**head, "kind": "weather"}, {**head, "width": 12},
            {**head, "steps": ["exec"]}, {**head, "steps": "add"}, {**head, "link": "sum"},
            {**head, "parts": 0, "activation": "exec"}, {**head, "parts": 10, "activation": ""},
            {**head, "shapes": head["shapes"][:-1]}, {**head, "shapes": [[1 << 62]] * 7},
            {**head, "shapes": "all"}, {**head, "shapes": [[-1]]}, {},
        ):  # fmt: skip
            assert unpacked(wrong, body, 13) is None, wrong
        assert unpacked(head, body[:-8], 13) is None
        for value in (np.nan, 1e300, -1.0, 3.0):
            bad = np.full(len(body) // 8, value).tobytes()
            found = unpacked(head, bad, 13)
            # A network of equal numbers is one; trees of equal places are none.
            assert found is None or (model is LINEAR and np.isfinite(value))


def test_a_model_too_large_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    head, body = packed(FOREST, 13)
    monkeypatch.setattr("strongroom.services.models.replicated.MAX_BYTES", len(body) - 1)
    assert packed(FOREST, 13) == ({"kind": "none"}, b"")
    assert unpacked(head, body, 13) is None
