"""A model is data: it comes back from its text, is served as ONNX, and hostile text is refused."""

import contextlib
import json
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.training.domain import Amount, Choice, Domain, Number
from strongroom.engines.privacy.dp.training.model import (
    MAX_BYTES,
    AdditiveModel,
    Term,
    model_from_json,
)
from strongroom.engines.privacy.dp.training.network import ColumnWeights, NetworkModel
from strongroom.engines.privacy.dp.training.onnx_form import onnx_bytes
from strongroom.errors import CallerError, TooLargeError, ValidationError

AGE = Term("age", (-1.0, 0.5, 2.0, -0.25), cuts=(20.0, 40.0))
TOWN = Term("town", (1.0, -1.0, 0.125), values=("north", "south"))
CHOICE = AdditiveModel(0.5, (AGE, TOWN), Choice("rich", ("no", "yes")))
AMOUNT = AdditiveModel(10.0, (AGE, Term("flat", (3.0, 0.0))), Amount("income", 0.0, 11.0))
TABLE = pa.table({
    "age": [19.9, 20.0, 40.0, None, float("nan"), float("inf")],
    "town": ["north", "south", "north", "elsewhere", None, ""],
    "flat": [1.0, 2.0, None, 4.0, 5.0, 6.0],
})  # fmt: skip


def _served(model: AdditiveModel | NetworkModel) -> list[Any]:
    session = onnxruntime.InferenceSession(onnx_bytes(model))
    age = np.array(TABLE.column("age").to_numpy(), np.float32)
    if any(one.values is not None for one in model.terms):
        town = np.array([one or "" for one in TABLE.column("town").to_pylist()], object)
        feed = {"age": age.reshape(-1, 1), "town": town.reshape(-1, 1)}
    else:
        flat = np.array(TABLE.column("flat").to_numpy(), np.float32)
        feed = {"input": np.column_stack([age, flat])}
    found: list[Any] = session.run(None, feed)
    return found


def test_scores_are_sums_of_what_the_values_stand_for() -> None:
    assert CHOICE.scores(TABLE).tolist() == [0.5, 0.0, 3.5, 0.375, 0.375, 2.625]
    assert AMOUNT.predict(TABLE).tolist() == [11.0, 11.0, 11.0, 11.0, 11.0, 11.0]
    assert CHOICE.strength() == {"age": 3.0, "town": 2.0}


@pytest.mark.parametrize("model", [CHOICE, AMOUNT])
def test_a_model_comes_back_from_its_text(model: AdditiveModel) -> None:
    assert model_from_json(model.to_json()) == model


def test_the_graph_of_a_choice_gives_label_and_chances() -> None:
    labels, chances = _served(CHOICE)
    assert labels.tolist() == ["yes", "no", "yes", "yes", "yes", "yes"]
    assert np.abs(chances[:, 1] - CHOICE.predict(TABLE)).max() < 1e-7
    assert np.abs(chances.sum(axis=1) - 1).max() < 1e-7


def test_the_graph_of_an_amount_gives_it_within_its_bounds() -> None:
    assert _served(AMOUNT)[0].shape == (6, 1)
    assert _served(AMOUNT)[0][:, 0].tolist() == AMOUNT.predict(TABLE).tolist()


@pytest.mark.parametrize("target", [Choice("rich", ("no", "yes")), Amount("income", -1, 1)])
def test_the_graph_of_a_network_is_the_network(target: Choice | Amount) -> None:
    rng = np.random.default_rng(4)
    model = NetworkModel(
        (ColumnWeights("age", rng.normal(size=(4, 3)), (20.0, 40.0)),
         ColumnWeights("town", rng.normal(size=(3, 3)), (), ("north", "south"))),
        rng.normal(size=3), rng.normal(size=3), 0.25, target,
    )  # fmt: skip
    found = _served(model)
    numbers = found[0][:, 0] if isinstance(target, Amount) else found[1][:, 1]
    assert np.abs(numbers - model.predict(TABLE)).max() < 1e-6


def test_a_missing_column_is_an_error() -> None:
    with pytest.raises(ValidationError, match="no column `town`"):
        CHOICE.scores(TABLE.drop_columns(["town"]))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pickle"},
        {"version": 2},
        {"more": 1},
        {"target": {"name": "rich", "values": ["a", "b", "c"]}},
        {"target": 3},
        {"intercept": float("nan")},
        {"intercept": 1e9},
        {"intercept": "0"},
        {"terms": []},
        {"terms": {}},
        {"terms": [3]},
        {"terms": [{"name": "a", "scores": [1, 2]}]},
        {"terms": [{"name": "a", "scores": [1], "cuts": []}]},
        {"terms": [{"name": "a", "scores": [1, 10**400], "cuts": []}]},
        {"terms": [{"name": "a", "scores": [1, True], "cuts": []}]},
        {"terms": [{"name": "a", "scores": [1, 2, 3], "cuts": [0.1]}]},
        {"terms": [{"name": "a", "scores": [1, 2, 3, 4], "cuts": [2.0, 1.0]}]},
        {"terms": [{"name": "a", "scores": [1, 2], "values": [1]}]},
        {"terms": [{"name": "a", "scores": [1, 2, 3], "values": ["x", "x"]}]},
        {"terms": [{"name": "a", "scores": [1, 2], "cuts": []}] * 2},
    ],
)
def test_hostile_text_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(CHOICE.to_json()) | change
    with pytest.raises(ValidationError):
        model_from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[", "[]", "null", "[" * 10_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        model_from_json(text)


def test_a_large_text_is_refused_unread() -> None:
    with pytest.raises(TooLargeError):
        model_from_json(" " * (MAX_BYTES + 1))


@given(st.data())
def test_a_mutated_text_is_a_model_or_an_error_of_ours(data: st.DataObject) -> None:
    text = bytearray(CHOICE.to_json().encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(CallerError):
        assert isinstance(model_from_json(bytes(text)), AdditiveModel)


def test_a_domain_without_categories_is_one_matrix() -> None:
    assert Domain((Number("age", 0, 1),), Amount("y", 0, 1)).features[0].name == "age"
    inputs = onnxruntime.InferenceSession(onnx_bytes(AMOUNT)).get_inputs()
    assert [one.name for one in inputs] == ["input"]
