"""Ways to harden a model, and the comparison with what it was."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from strongroom.engines.robustness.hardening import comparing
from strongroom.engines.robustness.hardening.adversarial import AdversariallyTrained
from strongroom.engines.robustness.hardening.comparing import compare, paired_gain, robust_accuracy
from strongroom.engines.robustness.hardening.dropping import Without, chosen, leant_on
from strongroom.engines.robustness.hardening.regularising import regularised
from strongroom.engines.robustness.outcome import Measure
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, OutputForm, Rows, Scores
from strongroom.errors import ValidationError

Table = tuple[Rows, Labels]
BOX = Space.box(2)


def close(seed: int, count: int) -> Table:
    """Classes that lie apart in the first feature, and close but clear in the second."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    wide = np.where(labels, 0.6, 0.4) + 0.04 * rng.standard_normal(count)
    narrow = np.where(labels, 0.51, 0.49) + 0.003 * rng.standard_normal(count)
    return np.column_stack([wide, narrow]), labels


def brittle() -> Estimator:
    """Remembers every row."""
    return Estimator("tree", DecisionTreeClassifier(), 2)


def test_adversarial_training_makes_a_brittle_model_sturdier() -> None:
    (rows, labels), (fresh, truth) = close(0, 300), close(1, 300)
    recipe = Estimator("logistic", LogisticRegression(C=1e6, max_iter=1_000), 2)
    plain = recipe.fit(rows, labels, 1)
    hard = AdversariallyTrained(recipe, BOX, 0.07, rounds=2, rows=60)
    hardened = hard.fit(rows, labels, 1)
    audit = robust_accuracy(BOX, fresh[:50], truth[:50], 0.04, seed=1)
    found = compare(("plain", plain), (hard.name, hardened), fresh, truth, {"robust": audit})
    before, after = found.before.measures[1], found.after.measures[1]
    assert before.value < 0.5
    assert after.value > before.value + 0.3
    assert (found.gain.low or 0) > -0.05
    assert "robust accuracy within 0.04 goes from" in found.says
    short = AdversariallyTrained(recipe, BOX, 0.07, rounds=1, rows=20)
    first, second = (short.fit(rows, labels, 1)(fresh) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not hard.is_own


def test_rows_with_missing_values_are_not_attacked_and_stay() -> None:
    rows, labels = close(0, 60)
    rows[:, 1] = np.nan
    forest = Estimator("forest", RandomForestClassifier(5), 2)
    recipe = AdversariallyTrained(forest, BOX, 0.05, rounds=1, rows=20)
    assert recipe.fit(rows, labels, 0)(rows).shape == (60, 2)
    with pytest.raises(ValidationError, match="classes"):
        AdversariallyTrained(replace(forest, classes=1), BOX, 0.05).fit(rows, labels, 0)


def test_the_strongest_step_at_no_sure_loss_is_taken() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((240, 3))
    labels = np.where(rng.random(240) < 0.2, rng.integers(2, size=240), rows[:, 0] > 0.5)
    labels = labels.astype(np.int64)
    made = regularised(brittle(), rows, labels, seed=0, folds=3)
    accuracies = [one.accuracy for one in made.steps]
    best = max(made.steps, key=lambda one: one.accuracy)
    assert made.taken > 0
    assert made.steps[made.taken].accuracy >= best.accuracy - best.error
    assert all(one < best.accuracy - best.error for one in accuracies[made.taken + 1 :])
    assert made.steps[made.taken].gap < 0.5 * made.steps[0].gap, "it remembers as much as before"
    assert "min_samples_leaf" in made.recipe.name
    assert made.recipe.estimator.min_samples_leaf > 1
    with pytest.raises(ValidationError, match="two rows"):
        regularised(brittle(), rows[:4], labels[:4], seed=0)
    odd = Estimator("process", GaussianProcessClassifier(), 2)
    with pytest.raises(ValidationError, match="no steps"):
        regularised(odd, rows, labels, seed=0)


def test_dropped_features_are_neither_seen_nor_asked() -> None:
    space = Space([Feature("a"), Feature("b", levels=("x", "y")), Feature("c")])
    rng = np.random.default_rng(0)
    rows = rng.random((100, 4))
    labels = (rows[:, 3] > 0.5).astype(np.int64)
    recipe = Without(Estimator("logistic", LogisticRegression(), 2), space, ("b", "c"))
    model = recipe.fit(rows, labels, 0)
    other = rows.copy()
    other[:, 1:] = rng.random((100, 3))
    np.testing.assert_array_equal(model(rows), model(other))
    assert (rows != 0).all(), "the caller's rows were changed"
    assert recipe.name == "logistic without b, c"
    for features in (("z",), ("a", "b", "c")):
        with pytest.raises(ValidationError):
            Without(recipe.recipe, space, features)


def test_what_an_attack_leans_on() -> None:
    space = Space([Feature("a"), Feature("b", levels=("x", "y")), Feature("c")])
    origins = np.zeros((2, 4))
    moved = np.array([[0.6, 0, 0, 0.8], [0, 0, 0, 0.1]])
    shares = leant_on(space, origins, moved)
    assert shares == pytest.approx({"c": 0.82, "a": 0.18, "b": 0.0})
    assert list(shares) == ["c", "a", "b"]
    assert chosen(shares, most=5) == ("c",)
    assert chosen(shares, most=5, kept=("c",)) == ()
    assert chosen({"a": 0.9, "b": 0.9}, most=5) == ()
    assert leant_on(space, origins[:0], moved[:0]) == {"a": 0.0, "b": 0.0, "c": 0.0}


def test_the_gain_of_paired_rows_has_bounds_that_hold() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        before = rng.random(80) < 0.8
        after = np.where(before, rng.random(80) < 0.9, rng.random(80) < 0.3)
        found = paired_gain(before, after)  # truth: 0.8 * 0.9 + 0.2 * 0.3 - 0.8 = -0.02
        assert found.value == pytest.approx(after.mean() - before.mean())
        held += (found.low or 0) <= -0.02 <= (found.high or 0)
    assert held >= 368
    # Of 50 rows 10 won and 2 lost: 8/52 -/+ 1.96 sqrt(13 - 64/52)/52.
    won = np.array([True] * 10 + [False] * 2 + [True] * 38)
    old = np.array([False] * 10 + [True] * 2 + [True] * 38)
    half = 1.959964 * np.sqrt(13 - 64 / 52) / 52
    assert paired_gain(old, won).low == pytest.approx(8 / 52 - half, abs=1e-6)


def test_saying_less_keeps_the_labels_and_tells_less_of_members() -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(len(labels)) < 0.2, 1 - labels, labels).astype(np.int64)
    model = Estimator("forest", RandomForestClassifier(20), 2).fit(rows[:250], labels[:250], 0)
    bare = comparing.saying_less(model, OutputForm(shows="labels"))
    audit = comparing.told_by_loss((rows[:250], labels[:250]), (rows[250:], labels[250:]), at=0.05)
    found = compare(("whole", model), ("labels", bare), rows[250:], labels[250:], {"loss": audit})
    assert found.gain.value == 0.0
    assert found.before.measures[1].value > 0.1
    assert found.after.measures[1].value == 0.0
    assert "no change of accuracy can be told" in found.says


def test_sure_changes_are_told_from_chance() -> None:
    rows, labels = np.zeros((200, 1)), np.arange(200) % 2

    def good(asked: Rows) -> Scores:
        return np.eye(2)[np.arange(len(asked)) % 2]

    def bad(asked: Rows) -> Scores:
        return np.tile([1.0, 0.0], (len(asked), 1))

    def audit(value: float) -> Measure:
        return Measure("odd", value, value - 0.1, value + 0.1)

    worse = compare(("a", good), ("b", bad), rows, labels,
                    {"x": lambda model: audit(0.9 if model is good else 0.2)})  # fmt: skip
    assert "accuracy falls by 50.0%" in worse.says
    assert "chance" not in worse.says
    better = compare(("a", bad), ("b", good), rows, labels, {"x": lambda _: audit(0.5)})
    assert "accuracy rises by 50.0%" in better.says
    assert "which may be chance" in better.says
    with pytest.raises(ValidationError):
        compare(("a", good), ("b", bad), rows[:0], labels[:0])
