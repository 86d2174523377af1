"""`strongroom drift`, through the entry point: what is shown, what is kept, and how it ends."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.faces.cli.conftest import Offline


def frame(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, rows) + 10 * shift
    score = 1 / (1 + np.exp(-(age - 40) / 10))
    return pl.DataFrame({
        "name": [f"Patient Number{seed}x{at}" for at in range(rows)],
        "age": age,
        "income": random.lognormal(10, 1, rows),
        "ward": random.choice(["north", "south"], rows),
        "score": score,
        "ill": (random.random(rows) < score).astype(int),
        "when": pl.Series([f"2026-03-{1 + at % 4:02}" for at in range(rows)]).str.to_date(),
    })  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> None:
    frame(3_000, 1).write_csv(tmp_path / "reference.csv")
    frame(2_000, 2).write_csv(tmp_path / "alike.csv")
    frame(2_000, 3, 0.5).write_csv(tmp_path / "moved.csv")


def columns_of(out: str) -> dict[str, dict[str, Any]]:
    return {one["column"]: one for one in json.loads(out)["columns"]}


@pytest.mark.usefixtures("files")
def test_what_moved_is_found_and_only_that(offline: Offline) -> None:
    code, out, err = offline("drift", "reference.csv", "moved.csv", "--exclude", "name", "--json")
    assert code == 0, err
    found = columns_of(out)
    status = {name: one["status"] for name, one in found.items()}
    assert status == {
        "age": "drifted", "income": "stable", "ward": "stable", "score": "drifted",
        "ill": "drifted", "when": "unknown",
    }  # fmt: skip
    assert "name" not in found
    code, out, err = offline("drift", "reference.csv", "alike.csv", "--exclude", "name")
    assert code == 0
    heads, *lines = (line.split("\t") for line in out.splitlines())
    assert heads[:4] == ["column", "kind", "status", "jensen_shannon"]
    assert {line[2] for line in lines} <= {"stable", "unknown"}
    assert "No drift in 5 columns" in err


@pytest.mark.usefixtures("files")
def test_exit_codes_by_status(offline: Offline) -> None:
    assert offline("drift", "reference.csv", "moved.csv", "--fail-on", "drifted")[0] == 6
    calm = ("drift", "reference.csv", "alike.csv", "--exclude", "name", "--fail-on", "moved")
    assert offline(*calm)[0] == 0
    assert offline("drift", "reference.csv", "moved.csv", "--fail-on", "weather")[0] == 2
    assert offline("drift", "reference.csv", "nowhere.csv")[0] == 2
    assert offline("drift", "reference.csv")[0] == 2
    assert offline("drift", "reference.csv", "moved.csv", "--score", "nothing")[0] == 2
    assert offline("drift", "reference.csv", "moved.csv", "--threshold", "psi=x")[0] == 2
    assert offline("drift", "reference.csv", "moved.csv", "--threshold", "mood=1")[0] == 2
    assert offline("drift", "reference.csv", "moved.csv", "--time", "age")[0] == 2
    assert offline("drift", "reference.csv", "moved.csv", "--every", "minute")[0] == 2


@pytest.mark.usefixtures("files")
def test_a_saved_state_stands_for_its_table_and_holds_no_row(
    offline: Offline, tmp_path: Path
) -> None:
    direct = offline("drift", "reference.csv", "moved.csv", "--json")[1]
    code, out, err = offline("drift", "reference.csv", "--save", "reference.state")
    assert (code, out) == (0, "")
    assert "reference.state" in err
    assert offline("drift", "reference.csv", "--save", "reference.state")[0] == 1  # is there
    code, _, err = offline("drift", "reference.csv", "--save", "reference.csv", "--force")
    assert (code, "is a file that is read" in err) == (1, True)
    saved = (tmp_path / "reference.state").read_bytes()
    assert len(saved) < 4_000
    code, out, err = offline(
        "drift", "reference.state", "moved.csv", "--save-current", "moved.state", "--json"
    )
    assert code == 0, err
    assert columns_of(out)["age"]["status"] == "drifted"
    before, now = (columns_of(one)["age"]["measures"] for one in (direct, out))
    # Counts below ten are not in the state.
    for name in ("jensen_shannon", "wasserstein", "psi"):
        assert now[name]["value"] == pytest.approx(before[name]["value"], rel=0.05)
    code, out, err = offline("drift", "reference.state", "moved.state", "--json")
    assert code == 0, err
    assert columns_of(out)["age"]["status"] == "drifted"
    (tmp_path / "damaged.state").write_bytes(saved[:-5])
    code, _, err = offline("drift", "damaged.state", "moved.csv")
    assert code == 1
    assert "drift.state" in err


@pytest.mark.usefixtures("files")
def test_no_row_is_shown_or_kept(offline: Offline, tmp_path: Path) -> None:
    _, out, err = offline(
        "drift", "reference.csv", "moved.csv", "--html", "page.html", "--save", "r.state", "--json"
    )
    page = (tmp_path / "page.html").read_text()
    for text in (out, err, page):
        assert "Patient Number" not in text
    assert b"Patient" not in (tmp_path / "r.state").read_bytes()
    assert 'aria-label="Distribution of age"' in page


@pytest.mark.usefixtures("files")
def test_the_model_by_scores_labels_and_slices(offline: Offline, tmp_path: Path) -> None:
    model = ("--score", "score", "--label", "ill", "--exclude", "name", "--exclude", "when")
    code, out, err = offline(
        "drift", "reference.csv", "moved.csv", *model, "--slice", "ward", "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["columns"][0]["column"] == "score"
    assert found["columns"][0]["prediction"] is True
    assert columns_of(out)["ill"]["label"] is True
    real, expected = found["model"]["current"], found["model"]["estimate"]["performance"]
    errors = found["model"]["estimate"]["errors"]
    assert abs(real["accuracy"] - expected["accuracy"]) < 4 * errors["accuracy"]
    assert found["model"]["estimate"]["warnings"] == []
    assert {one["slice"] for one in found["model"]["slices"]} == {"ward = north", "ward = south"}
    assert found["moved_the_prediction"][0]["name"] == "age"
    pl.read_csv(tmp_path / "moved.csv").drop("ill").write_csv(tmp_path / "unlabelled.csv")
    code, _, err = offline("drift", "reference.csv", "unlabelled.csv", *model)
    assert code == 0
    assert "expected without labels" in err
    assert "Current, measured" not in err


@pytest.mark.usefixtures("files")
def test_a_regression_without_labels_and_a_classifier(offline: Offline, tmp_path: Path) -> None:
    model = ("--prediction", "age", "--label", "income", "--exclude", "name")
    code, out, err = offline(
        "drift", "reference.csv", "alike.csv", *model, "--classifier", "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    measured, expected = found["model"]["errors"]["current"], found["model"]["error_estimate"]
    assert expected["mae"] == pytest.approx(measured["mae"], rel=0.15)
    assert found["classifier"] < 0.6


@pytest.mark.usefixtures("files")
def test_windows_of_time(offline: Offline, tmp_path: Path) -> None:
    _, out, err = offline("drift", "reference.csv", "moved.csv", "--time", "when", "--json")
    windows = json.loads(out)["windows"]
    assert [one["name"] for one in windows] == [f"2026-03-0{day}" for day in (1, 2, 3, 4)], err
    assert all("age" in one["drifted"] for one in windows)
    assert sum(one["rows"] for one in windows) == 2_000


def test_other_forms_and_no_rows(offline: Offline, tmp_path: Path) -> None:
    frame(500, 1).write_parquet(tmp_path / "a.parquet")
    frame(500, 2, 1.0).write_ndjson(tmp_path / "b.jsonl")
    code, out, err = offline("drift", "a.parquet", "b.jsonl", "--json")
    assert code == 0, err
    assert columns_of(out)["age"]["status"] == "drifted"
    frame(500, 1).head(0).write_parquet(tmp_path / "none.parquet")
    for samples in (("a.parquet", "none.parquet"), ("none.parquet", "a.parquet")):
        code, _, err = offline("drift", *samples)
        assert code == 1
        assert "the table has no rows" in err


def classes(rows: int, seed: int, lost: str = "") -> pl.DataFrame:
    """Probabilities of three classes, and what came true; of one class often another one."""
    random = np.random.default_rng(seed)
    chance = random.dirichlet((0.5, 0.5, 0.5), rows)
    drawn = (random.random(rows)[:, None] > chance.cumsum(axis=1)).sum(axis=1)
    true = np.array(["cat", "dog", "owl"])[np.minimum(drawn, 2)]
    if lost:
        true = np.where((true == lost) & (random.random(rows) < 0.6), "cat", true)
    return pl.DataFrame({
        "p_cat": chance[:, 0], "p_dog": chance[:, 1], "owl": chance[:, 2], "seen": true,
    })  # fmt: skip


def test_several_classes_by_table_and_by_state(offline: Offline, tmp_path: Path) -> None:
    classes(4_000, 1).write_csv(tmp_path / "before.csv")
    classes(3_000, 2, lost="dog").write_csv(tmp_path / "now.csv")
    classes(3_000, 3).drop("seen").write_csv(tmp_path / "later.csv")
    model = ("--class", "cat=p_cat", "--class", "dog=p_dog", "--class", "owl", "--label", "seen")
    code, out, err = offline("drift", "before.csv", "now.csv", *model, "--json",
                             "--save", "before.state", "--html", "page.html")  # fmt: skip
    assert code == 0, err
    found = json.loads(out)["model"]["classes"]
    assert found["labels"] == [4_000, 3_000]
    assert found["accuracy"][0] - found["accuracy"][1] > 0.05
    assert found["warnings"]  # labels that came are not as expected
    fell = {(one["name"], one["metric"]) for one in found["fell"]}
    assert ("dog", "precision") in fell
    assert ("owl", "precision") not in fell
    assert "<caption>Classes" in (tmp_path / "page.html").read_text()
    assert columns_of(out)["owl"]["prediction"] is True
    assert columns_of(out)["seen"]["label"] is True

    code, out, err = offline("drift", "before.state", "later.csv", *model, "--json")
    assert code == 0, err
    kept = json.loads(out)["model"]["classes"]
    assert kept["accuracy"][0] == pytest.approx(found["accuracy"][0], abs=0.02)
    assert kept["accuracy"][1] is None
    assert abs(kept["accuracy"][2] - found["accuracy"][0]) < 4 * kept["error"] + 0.02
    code, _, err = offline("drift", "before.state", "later.csv", *model)
    assert code == 0
    assert "Reference, measured on" in err
    assert "of 3 classes: accuracy" in err
    assert "Current, expected without labels: accuracy" in err


def test_a_small_private_state_says_what_it_cannot_tell(offline: Offline, tmp_path: Path) -> None:
    frame(120, 1).drop("name").write_csv(tmp_path / "few.csv")
    frame(150, 2).drop("name").write_csv(tmp_path / "more.csv")
    model = ("--score", "score", "--label", "ill")
    assert offline("drift", "few.csv", *model, "--save", "few.state")[0] == 0
    code, _, err = offline("drift", "few.state", "more.csv", *model, "--fail-on", "moved")
    assert code == 0, err
    assert "no count below 10: with so few rows no more than 2 parts" in err
    assert "keeps its 120 labelled rows by 10 only" in err
    assert offline("drift", "few.csv", *model, "--exact", "--save", "exact.state")[0] == 0
    _, _, err = offline("drift", "exact.state", "more.csv", *model)
    assert "--exact keeps" not in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--class cat=p_cat", "once for each of 2 to 100 classes"),
        ("--class cat=p_cat --class cat=p_dog", "once for each of 2 to 100 classes"),
        ("--class cat=p_cat --class dog=p_dog --score owl", "leave out --score"),
        ("--class cat=p_cat --class dog=p_dog --class owl=none", "no column `none`"),
        ("--class cat=p_cat --class dog=p_dog", "saved with other classes: cat, dog, owl"),
    ],
)
def test_classes_that_make_no_sense(
    offline: Offline, tmp_path: Path, options: str, told: str
) -> None:
    classes(300, 1).write_csv(tmp_path / "before.csv")
    model = ("--class", "cat=p_cat", "--class", "dog=p_dog", "--class", "owl")
    assert offline("drift", "before.csv", *model, "--save", "before.state")[0] == 0
    code, _, err = offline("drift", "before.state", "before.csv", *options.split())
    assert code == 2
    assert told in err


def test_classes_that_are_only_named_are_measured(offline: Offline, tmp_path: Path) -> None:
    """Many models give a class and no probability: labels tell how it does all the same."""
    for name, right in (("before", 0.9), ("now", 0.6)):
        random = np.random.default_rng(len(name))
        seen = random.choice(["cat", "dog", "owl"], 2_000)
        said = np.where(random.random(2_000) < right, seen, "cat")
        pl.DataFrame({"said": said, "seen": seen}).write_csv(tmp_path / f"{name}.csv")
    asked = ("drift", "before.csv", "now.csv", "--prediction", "said", "--label", "seen")
    code, out, _ = offline(*asked, "--json")
    assert code == 0
    tables = [pl.read_csv(tmp_path / f"{name}.csv") for name in ("before", "now")]
    expected = [one.select((pl.col("said") == pl.col("seen")).mean()).item() for one in tables]
    found = json.loads(out)["model"]["classes"]
    assert found["accuracy"] == [*(pytest.approx(one) for one in expected), None]
    assert ("dog", "recall") in {(one["name"], one["metric"]) for one in found["fell"]}
    assert all(one["estimate"] is None for one in found["classes"])
    assert "Class `dog`: recall fell from 0.9" in offline(*asked)[2]
