"""What an answer tells, and what saying less costs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.robustness.guards.outputs import FORMS, bits_per_answer, labelled, price
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import ValidationError


@given(
    st.lists(st.lists(st.floats(0.001, 1.0), min_size=3, max_size=3), min_size=1, max_size=20),
    st.sampled_from([form for _, form in FORMS] + [OutputForm(top=2, decimals=1)]),
)
def test_the_label_stays_whatever_is_left_out(weights: list[list[float]], form: OutputForm) -> None:
    scores = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
    shown = labelled(form, scores)
    np.testing.assert_array_equal(shown.argmax(axis=1), scores.argmax(axis=1))
    assert (shown >= 0).all()
    if form.decimals is not None:
        np.testing.assert_allclose(shown, np.round(shown, form.decimals), atol=1e-12)
        assert np.abs(shown - form.shown(scores)).max() <= 10.0**-form.decimals + 1e-12
    # Deterministic: asking again tells nothing new.
    np.testing.assert_array_equal(shown, labelled(form, scores))


def test_a_tie_made_by_rounding_would_change_the_label() -> None:
    scores = np.array([[0.496, 0.504], [0.33, 0.34]])
    form = OutputForm(decimals=2)
    assert OutputForm(decimals=2).shown(scores).argmax(axis=1).tolist() == [0, 1]
    assert labelled(form, scores).argmax(axis=1).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("form", "classes", "answers"),
    [
        (OutputForm(shows="labels"), 8, 8),
        (OutputForm(decimals=1), 2, 11),
        (OutputForm(decimals=1), 3, 66),
        (OutputForm(top=1, decimals=1), 3, 33),
        (OutputForm(decimals=2), 1, 101),
    ],
    ids=["labels", "two classes", "three", "top", "regression"],
)
def test_bits_are_the_logarithm_of_how_many_answers_there_are(
    form: OutputForm, classes: int, answers: int
) -> None:
    assert bits_per_answer(form, classes) == pytest.approx(math.log2(answers))


def test_forms_are_in_the_order_of_what_they_tell() -> None:
    told = [bits_per_answer(form, 10) for _, form in FORMS]
    assert told == sorted(told, reverse=True)


def test_labels_are_free_and_probabilities_are_not() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(4_000)
    labels = (rng.random(4_000) < chance).astype(np.int64)
    scores = np.stack([1 - chance, chance], axis=1)
    prices = {name: price(name, form, scores, labels) for name, form in FORMS}
    whole = prices["whole"]
    assert whole.calibration_error < 0.02
    assert {one.accuracy for one in prices.values()} == {whole.accuracy}
    assert {one.unlike for one in prices.values()} == {0.0}
    # Of uniform chances the Brier score of labels is 2 * 1/4, of the chances 2 * 1/6.
    assert whole.brier == pytest.approx(1 / 3, abs=0.02)
    assert prices["labels"].brier == pytest.approx(1 / 2, abs=0.02)
    assert prices["2 decimals"].brier == pytest.approx(whole.brier, abs=1e-3)
    with pytest.raises(ValidationError):
        price("none", OutputForm(), scores[:0], labels[:0])
