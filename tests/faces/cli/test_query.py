"""`strongroom query`, through the entry point."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.engines.privacy.dp.tables import visits
from tests.faces.cli.conftest import Offline

ALL = "SELECT COUNT(*) AS n, AVG(age) AS mean FROM visits"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> pl.DataFrame:
    frame = pl.DataFrame(visits(1_000)).with_columns(pl.col("age").fill_nan(None))
    frame.write_csv(tmp_path / "visits.csv")
    frame.write_parquet(tmp_path / "visits.parquet")
    return frame


def answered(offline: Offline, *arguments: str) -> Any:  # noqa: ANN401 # JSON
    code, out, err = offline("query", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("file", ["visits.csv", "visits.parquet"])
def test_an_answer_has_intervals_and_says_what_it_rests_on(
    offline: Offline, files: pl.DataFrame, file: str
) -> None:
    found = answered(offline, file, ALL, "--epsilon", "4", "--bounds", "age=0:120", "--trusted")
    values = found["groups"][0]["values"]
    assert values["n"]["value"] == pytest.approx(files.height, abs=30)
    mean = files["age"].drop_nulls().mean()
    assert values["mean"]["low"] - 0.5 < mean < values["mean"]["high"] + 0.5
    assert found["epsilon"] == 4
    assert found["neighbours"] == "tables that differ by one row"
    code, out, err = offline(
        "query", file, ALL, "--epsilon", "4", "--bounds", "age=0:120", "--trusted"
    )
    assert code == 0
    heads, line = (row.split("\t") for row in out.splitlines())
    assert heads == ["n", "n 95 %", "mean", "mean 95 %"]
    assert " … " in line[1]
    assert "epsilon 4, laplace noise" in err


def test_people_keys_and_bins(offline: Offline) -> None:
    found = answered(
        offline, "visits.csv",
        "SELECT ward, age, COUNT(*) AS n, COUNT(DISTINCT who) AS p FROM t GROUP BY ward, age",
        "--epsilon", "4", "--subject", "who", "--rows", "2", "--groups", "3",
        "--keys", 'ward=north,"east, or not",', "--bins", "age=18,50,91",
    )  # fmt: skip
    assert [tuple(one["key"].values()) for one in found["groups"]] == [
        (ward, age) for ward in ("north", "east, or not", None) for age in ("[18, 50)", "[50, 91]")
    ]
    assert found["unit"] == {"subject": "who", "groups": 3, "rows": 2}


def test_groups_from_the_data_need_a_delta(offline: Offline) -> None:
    sql = "SELECT ward, COUNT(*) AS n FROM t GROUP BY ward"
    code, out, err = offline("query", "visits.csv", sql, "--epsilon", "1")
    assert (code, out) == (1, "")
    assert "[dp.budget]" in err
    found = answered(offline, "visits.csv", sql, "--epsilon", "1", "--delta", "1e-6")
    assert [one["key"]["ward"] for one in found["groups"]] == ["east", "north", "south"]
    assert found["delta"] == 1e-6


def test_dry_run_looks_at_no_row(offline: Offline, tmp_path: Path) -> None:
    sql = "SELECT COUNT(*) AS n, AVG(cost) AS m, MEDIAN(cost) AS med, STDDEV(cost) AS s FROM t"
    options = ("--epsilon", "1", "--bounds", "cost=0:500", "--dry-run")
    first = answered(offline, "visits.csv", sql, *options)
    whole = pl.read_csv(tmp_path / "visits.csv")
    whole.head(2_000).write_csv(tmp_path / "visits.csv")
    assert answered(offline, "visits.csv", sql, *options) == first
    assert {one["name"] for one in first["expected"]} == {"n", "m", "med", "s"}
    code, out, err = offline("query", "visits.csv", sql, *options)
    assert code == 0
    assert "/ rows" in out
    assert "nothing is spent" in err


def test_bounds_at_a_cost(offline: Offline) -> None:
    found = answered(
        offline, "visits.csv", "SELECT AVG(cost) AS m FROM t", "--epsilon", "1",
        "--estimate-bounds", "cost=0.5",
    )  # fmt: skip
    low, high = found["bounds_found"]["cost"]
    assert 0 <= low < 64 < high <= 4_096
    assert sum(one["values"][0] for one in found["cost"]["events"]) == pytest.approx(1.5)
    dry = answered(
        offline, "visits.csv", "SELECT AVG(cost) AS m FROM t", "--epsilon", "1",
        "--estimate-bounds", "cost=0.5", "--dry-run",
    )  # fmt: skip
    assert dry["bounds_epsilon"] == {"cost": 0.5}


@pytest.mark.parametrize(("arguments", "code", "told"), [
    ((ALL, "--epsilon", "1"), 1, "dp.unbounded"),
    ((ALL, "--epsilon", "-1", "--bounds", "age=0:120"), 2, "usage"),
    ((ALL, "--epsilon", "nan", "--bounds", "age=0:120"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--delta", "1", "--bounds", "age=0:120"), 2, "usage"),
    ((ALL, "--epsilon", "21", "--bounds", "age=0:120"), 1, "dp.budget"),
    ((ALL, "--epsilon", "1", "--bounds", "age=120:0"), 1, "dp.unbounded"),
    ((ALL, "--epsilon", "1", "--bounds", "age"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--bounds", "age=0"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--bounds", "age=a:b"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--bounds", "age=0:1", "--bounds", "age=0:2"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--estimate-bounds", "age=0"), 1, "dp.budget"),
    ((ALL, "--epsilon", "1", "--bounds", "age=0:120", "--subject", "x"), 1, "dp.column"),
    ((ALL, "--epsilon", "1", "--bounds", "age=0:120", "--rows", "3"), 1, "dp.query"),
    ((ALL, "--epsilon", "1", "--bins", "age=1,x"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--keys", "=a"), 2, "usage"),
    ((ALL, "--epsilon", "1", "--keys", "ward=" + "a" * 200_000), 2, "usage"),
    (("SELECT * FROM t", "--epsilon", "1"), 1, "dp.sql"),
    (("SELECT COUNT(*) FROM t GROUP BY who", "--epsilon", "1", "--delta", "1e-6", "--subject",
      "who"), 1, "dp.column"),
    (("SELECT COUNT(*) FROM t GROUP BY ward", "--epsilon", "1", "--bins", "ward=1,2"), 1,
     "dp.column"),
])  # fmt: skip
def test_refusals(offline: Offline, arguments: tuple[str, ...], code: int, told: str) -> None:
    got, out, err = offline("query", "visits.csv", *arguments)
    assert (got, out) == (code, "")
    assert f"[{told}]" in err


def test_a_file_that_is_none(offline: Offline, tmp_path: Path) -> None:
    assert offline("query", "nothing.csv", ALL, "--epsilon", "1")[0] == 2
    assert offline("query", str(tmp_path), ALL, "--epsilon", "1")[0] == 2


def test_no_value_of_a_row_is_in_an_error(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("name,age\nSECRETNAME,12\nOTHER,x7x\n")
    code, out, err = offline("query", "odd.csv", "SELECT AVG(age) FROM t", "--epsilon", "1",
                             "--bounds", "age=0:120")  # fmt: skip
    assert (code, out) == (1, "")
    assert "SECRETNAME" not in err
    assert "x7x" not in err
