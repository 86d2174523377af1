import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.coding import additive, coded
from strongroom.engines.robustness.poisoning.table import MISSING, Table
from strongroom.engines.robustness.space import Space
from strongroom.errors import ValidationError


def test_a_missing_number_is_a_value_of_its_own() -> None:
    rows = np.array([[0.5, np.nan], [0.1, 0.2]])
    made = Table.of(Space.box(2), rows, np.array([0, 1]))
    assert made.rows[0, 1] == MISSING
    assert len(made) == 2


def test_values_have_one_column_a_feature() -> None:
    made = poisoned.table(40)
    assert made.values.shape == (40, 7)
    assert (made.values[:, 6] == made.rows[:, 6:].argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (np.zeros((3, 2)), np.zeros(2, int)),
        (np.zeros((3, 3)), np.zeros(3, int)),
        (np.full((3, 2), np.inf), np.zeros(3, int)),
        (np.zeros((3, 2)), np.zeros(3)),
        (np.zeros((3, 2)), np.array([0, -1, 0])),
        (np.zeros((3, 2)), np.array([0, 0, 5_000])),
    ],
    ids=["lengths", "width", "infinite", "fractions", "negative", "classes"],
)
def test_what_does_not_fit_is_refused(rows: "np.ndarray", labels: "np.ndarray") -> None:
    with pytest.raises(ValidationError):
        Table.of(Space.box(2), rows, labels)


def test_one_source_for_each_row() -> None:
    with pytest.raises(ValidationError, match="one source"):
        Table.of(Space.box(1), np.zeros((3, 1)), np.zeros(3, int), sources=["a"])


@pytest.mark.parametrize("labels", [np.zeros(30, int), np.arange(30) == 3], ids=["one", "lone"])
def test_one_class_cannot_be_searched(labels: "np.ndarray") -> None:
    made = Table.of(Space.box(1), np.zeros((30, 1)), labels.astype(int), classes=2)
    assert "two classes" in made.lacks()
    with pytest.raises(ValidationError, match="two classes"):
        made.require()


def test_shared_values_get_codes_and_others_bins() -> None:
    rng = np.random.default_rng(0)
    column = np.concatenate([np.full(10, 0.5), rng.random(90)])[:, None]
    made = coded(column, least=5)
    assert made.values[0][0] == 0.5
    assert (made.codes[:10, 0] == 0).all()
    assert np.isnan(made.values[0][1:]).all()
    assert made.codes.max() + 1 == made.sizes[0]


def test_parts_of_an_additive_model_add_up() -> None:
    table = poisoned.table(200)
    made = coded(table.values, 4)
    model = additive(table, made, seed=0)
    every = tuple(range(7))
    bare = model.without(every)
    base = model.logits - model.parts.sum(axis=0)
    expected = np.exp(base) / np.exp(base).sum(axis=1, keepdims=True)
    assert np.allclose(bare, expected)
    # What four features tell, they take with them.
    right = model.without(())[np.arange(200), table.labels].mean()
    left = model.without((0, 1, 2, 3))[np.arange(200), table.labels].mean()
    assert right > 0.75
    assert left < 0.6
