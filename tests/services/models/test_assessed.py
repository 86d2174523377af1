"""Rows of an assessment: what a model has seen is no held-out row."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.privacy.dp.training.people import people

from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Rows, Scores
from strongroom.errors import ValidationError
from strongroom.services.models.assessed import subject_of

PLAN = """
version = 1
name = "people"
tests = ["membership.loss"]
[columns]
label = "rich"
left_out = ["person", "town"]
"""


def even(_space: Space, classes: Sequence[str]) -> Predict:
    """A model that knows nothing."""

    def answered(rows: Rows) -> Scores:
        return np.full((len(rows), len(classes)), 1 / len(classes))

    return answered


@pytest.fixture(scope="module")
def plan() -> Plan:
    return parse_plan(PLAN)


def told(plan: Plan, trained: pa.Table, held_out: pa.Table) -> list[str]:
    remarks = subject_of(plan, trained, held_out, even).remarks
    return [one for one in remarks if "among the training rows" in one]


def test_the_training_rows_are_no_held_out_rows(plan: Plan) -> None:
    rows = people(40, 1)
    with pytest.raises(ValidationError, match="are the training rows") as refused:
        subject_of(plan, rows, people(40, 1), even)
    assert "was not trained on" in refused.value.next_step
    assert subject_of(plan, rows, None, even).held_out is None


def test_held_out_rows_that_the_model_has_seen_are_counted(plan: Plan) -> None:
    trained, strangers = people(40, 1), people(40, 2)
    assert told(plan, trained, strangers) == []
    mixed = pa.concat_tables([strangers, trained.slice(5, 7)])
    assert [one.split(" held-out")[0] for one in told(plan, trained, mixed)] == ["7 of 47"]


@pytest.mark.parametrize("kept", [40, 25])
def test_training_rows_in_another_order_are_no_held_out_rows(plan: Plan, kept: int) -> None:
    trained = people(40, 1)
    order = np.random.default_rng(0).permutation(40)[:kept]
    with pytest.raises(ValidationError, match=f"{kept} of {kept} held-out rows"):
        subject_of(plan, trained, trained.take(order), even)


def test_rows_of_few_coarse_columns_repeat_by_chance(plan: Plan) -> None:
    rng = np.random.default_rng(0)

    def coarse(rows: int) -> pa.Table:
        drawn = {name: rng.integers(0, 3, rows).tolist() for name in ("person", "town", "age")}
        return pa.table({**drawn, "rich": rng.choice(["yes", "no"], rows).tolist()})

    assert [one.split(" held-out")[0] for one in told(plan, coarse(60), coarse(30))] == ["30 of 30"]


def test_a_row_with_another_label_has_not_been_seen(plan: Plan) -> None:
    trained = people(40, 1)
    turned = ["no" if one == "yes" else "yes" for one in trained.column("rich").to_pylist()]
    at = trained.column_names.index("rich")
    other = trained.set_column(at, "rich", pa.array(turned))
    assert told(plan, trained, other) == []
