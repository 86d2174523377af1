"""What MLflow's queries call on SQLite: percentiles and patterns."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.faces.mlflow.ward import Ward

from strongroom.faces.mlflow import sqlite_functions
from strongroom.vault.database import Database

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20)


def percentile(values: list[float], percent: float) -> float | None:
    aggregate = sqlite_functions._Percentile()
    for value in values:
        aggregate.step(value, percent)
    return aggregate.finalize()


@settings(max_examples=50, deadline=None)
@given(VALUES, st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(
        np.percentile(values, percent, method="linear"), abs=1e-3
    )


def test_they_are_there_in_a_query(tmp_path: Path) -> None:
    database = Database.create_for_tests(tmp_path / "test.db")
    with database.read() as session:
        connection = session.connection()
        for _ in range(2):
            sqlite_functions.give(connection)
        values = "(SELECT 1 AS v UNION ALL SELECT 2 UNION ALL SELECT NULL)"
        (found,) = connection.execute(text(f"SELECT percentile(v, 50) FROM {values}"))  # noqa: S608 # a constant
        assert found == (1.5,)
        (found,) = connection.execute(text("SELECT percentile(NULL, 50)"))
        assert found == (None,)
        for percent in ("NULL", "-1", "101", "9e999"):
            wrong = text(f"SELECT percentile(v, {percent}) FROM {values}")  # noqa: S608 # a constant
            assert connection.execute(wrong).all() == [(None,)], percent
        for value, pattern, matches in (
            ("production", "^prod", 1), ("test", "^prod", 0), ("test", "(", 0), (None, "a", 0),
            # A pattern on which Python's own `re` would be busy for years.
            ("a" * 5_000 + "b", "(a|a)*$c", 0),
        ):  # fmt: skip
            asked = text("SELECT :value REGEXP :pattern")
            (found,) = connection.execute(asked, {"value": value, "pattern": pattern})
            assert found == (matches,), pattern
    database.close()


def test_traces_are_summed_up_and_found_by_a_pattern(ward: Ward) -> None:
    experiment = ward.experiment("alice", "summed up")
    for seconds in (1, 2, 4):
        trace = {
            "trace_id": f"tr-{uuid.uuid4().hex}", "request_time": "2026-01-01T00:00:00Z",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment},
            },
            "state": "OK", "execution_duration": f"{seconds}s", "tags": {"stage": f"s{seconds}"},
        }  # fmt: skip
        made = ward.call(
            "alice", "POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": trace}}
        )
        assert made.status_code == 200, made.text
    answer = ward.call(
        "alice", "POST", "/api/3.0/mlflow/traces/metrics",
        json={
            "experiment_ids": [experiment], "view_type": "TRACES", "metric_name": "latency",
            "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": 50}],
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert list(answer.json()["data_points"][0]["values"].values()) == [2000]
    found = ward.call(
        "alice", "POST", "/api/3.0/mlflow/traces/search",
        json={
            "locations": [
                {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
            ],
            "filter": "tags.stage RLIKE '^s[12]$'",
        },
    )  # fmt: skip
    assert found.status_code == 200, found.text
    assert len(found.json()["traces"]) == 2
