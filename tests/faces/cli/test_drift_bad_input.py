"""Bad samples given to `strongroom drift`: a clear statement for each, never a crash."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faces.cli.conftest import Offline

ROWS = 600
RANDOM = np.random.default_rng(0)
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
BASE: dict[str, object] = {
    "x": RANDOM.normal(size=ROWS),
    "c": pa.array(RANDOM.choice(["a", "b"], ROWS).tolist()),
    "t": pa.array([BEGIN + dt.timedelta(hours=at) for at in range(ROWS)]),
    "score": RANDOM.random(ROWS),
    "label": pa.array(RANDOM.integers(0, 2, ROWS)),
    "case": pa.array(range(ROWS)),
}
MODEL = "--score score --label label --exclude case"
TIME = "--time t --every month"
Changed = dict[str, object | None]


@pytest.fixture
def drift(offline: Offline, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Compare the base with the base changed; None takes a column away."""

    def call(changed: Changed, asked: str) -> tuple[int, str, str]:
        for name, columns in (("reference", BASE), ("current", BASE | changed)):
            table = pa.table({one: it for one, it in columns.items() if it is not None})
            pq.write_table(table, tmp_path / f"{name}.parquet")
        return offline("drift", "reference.parquet", "current.parquet", "--trusted", "--json",
                       "--html", "page.html", *asked.split())  # fmt: skip

    return call


@pytest.mark.parametrize(("changed", "asked", "says"), [
    ({"score": np.full(ROWS, 0.5)}, f"{MODEL} --attribution", "all predictions are alike"),
    ({"x": pa.nulls(ROWS, pa.float64())}, f"{TIME} --detect x", "0 values with a time"),
    ({"x": None, "c": None}, f"{MODEL} --attribution", "The column is missing."),
    ({"score": None}, MODEL, "the current sample has no scores"),
    ({"c": pa.array([f"new{at}" for at in range(ROWS)])}, MODEL, "does not list went from 0 %"),
    ({"x": np.where(np.arange(ROWS) % 2, np.inf, np.nan)}, f"{TIME} --detect x",
     "Infinite values went from 0 % to 50 %"),
    ({"x": pa.array(["1.5", "abc", None] * 200)}, MODEL, "Values of another type went from 0 %"),
    ({"x": pa.array([[1]] * ROWS)}, "--attribution --prediction score",
     "is double in the reference and list"),
    ({"t": pa.array([-(2**62), 2**62] * 300, pa.timestamp("ms"))}, f"{TIME} --detect x",
     "600 rows without a time are in no window"),
    ({"t": pa.array([dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)] * 300)},  # noqa: DTZ001 # the case
     f"{TIME} --detect x", "0001-01"),
    ({"t": pa.array([at.replace(tzinfo=None) for at in BASE["t"].to_pylist()])},  # type: ignore[attr-defined] # times
     TIME, "taken as UTC"),
    ({}, f"{MODEL} --positive maybe", "no label of the reference is `maybe`"),
    ({}, "--prediction c --label label", "labels are none of the classes"),
    ({}, "--prediction x --label c", "600 rows lack a prediction or a label that is a number"),
    ({}, "--prediction t --attribution", "the prediction is no number and no class"),
    ({"label": np.where(np.arange(ROWS) < 400, np.nan, 1.0)}, MODEL, '"rows": 200.0'),
    ({"score": np.full(ROWS, 1e308), "label": np.full(ROWS, -1e308)},
     f"--prediction score --label label {TIME} --detect error", "Values outside the reference"),
], ids=[
    "constant", "all null", "columns missing", "score missing", "unseen categories", "infinities",
    "mixed types", "nested", "times beyond calendars", "first and last year", "time zones",
    "no such class", "classes without scores", "labels that are texts", "times as predictions",
    "labels not there yet", "errors that overflow",
])  # fmt: skip
def test_it_is_said_and_the_rest_is_done(
    drift: Callable[..., tuple[int, str, str]], changed: Changed, asked: str, says: str
) -> None:
    code, out, err = drift(changed, asked)
    assert code == 0, err
    assert says in out
    assert "Warning" not in err
    assert "Exception" not in err
    assert len(json.loads(out)["columns"]) >= 3


@pytest.mark.parametrize(("changed", "asked", "says"), [
    ({"label": pa.array([[1]] * ROWS)}, MODEL, "`label` holds neither texts nor numbers"),
    ({"c": pa.array([[1]] * ROWS)}, f"{MODEL} --slice c", "`c` holds neither texts nor numbers"),
    ({"score": BASE["t"]}, MODEL, "`score` holds no numbers but timestamp"),
    ({"label": pa.array(["yes", "no", "maybe"] * 200)}, MODEL, "say which is the positive class"),
    ({"t": pa.array(["soon"] * ROWS)}, TIME, "`t` holds no times but string"),
    ({"t": None}, TIME, "there is no column `t`"),
    ({"t": pa.nulls(ROWS, pa.timestamp("us"))}, f"{TIME} --season", "no row has a time of which"),
], ids=[
    "nested labels", "nested slices", "times as scores", "three labels", "times as texts",
    "no times", "null times",
])  # fmt: skip
def test_it_is_refused(
    drift: Callable[..., tuple[int, str, str]], changed: Changed, asked: str, says: str
) -> None:
    code, out, err = drift(changed, asked)
    assert (code, out) == (2, "")
    assert says in err
    assert "Exception" not in err


def test_another_order_of_columns_is_no_change(
    offline: Offline, tmp_path: Path, drift: Callable[..., tuple[int, str, str]]
) -> None:
    _, out, _ = drift({}, MODEL)
    pq.write_table(pa.table(dict(reversed(BASE.items()))), tmp_path / "turned.parquet")
    turned = offline("drift", "reference.parquet", "turned.parquet", "--trusted", "--json",
                     *MODEL.split())  # fmt: skip
    assert json.loads(turned[1]) == json.loads(out)


def test_errors_of_labels_that_are_mostly_nought(
    drift: Callable[..., tuple[int, str, str]],
) -> None:
    """Their size sets the unit in which errors are summed."""
    labels = np.where(np.arange(ROWS) % 3 == 0, 1.0, 0.0)
    code, out, err = drift({"label": labels}, "--prediction score --label label")
    assert code == 0, err
    expected = np.abs(np.asarray(BASE["score"]) - labels).mean()
    assert json.loads(out)["model"]["errors"]["current"]["mae"] == pytest.approx(expected, rel=1e-4)
