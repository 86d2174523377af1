"""`strongroom drift` over time: seasons, changes, labels that come late, features that matter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.faces.cli.conftest import Offline

DAY_MS = 86_400_000
MONDAY = np.datetime64("2026-01-05", "ms")


def frame(
    rows: int, seed: int, first_day: int, days: int, *, worse_from: int | None = None,
    swapped: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """A clinic whose visitors are older at weekends; its model turns wrong on a day."""
    random = np.random.default_rng(seed)
    since = np.sort(random.integers(0, days * DAY_MS, rows)) + first_day * DAY_MS
    day = since // DAY_MS
    age = random.normal(40, 10, rows) + np.where(day % 7 >= 5, 12, 0)
    income = random.lognormal(10, 1, rows)
    score = 1 / (1 + np.exp(-(np.log(income) - 10 if swapped else (age - 40) / 10)))
    wrong = np.zeros(rows, bool) if worse_from is None else day >= worse_from
    ill = random.random(rows) < np.where(wrong, 1 - score, score)
    return pl.DataFrame({
        "case": np.arange(rows) + seed * 10**6, "age": age, "income": income, "score": score,
        "ill": ill.astype(int), "when": MONDAY + since.astype("timedelta64[ms]"),
    })  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> None:
    frame(8_000, 1, 0, 56).write_csv(tmp_path / "reference.csv")
    current = frame(3_000, 2, 70, 14, worse_from=78)
    current.write_csv(tmp_path / "current.csv")
    current.drop("ill").write_csv(tmp_path / "unlabelled.csv")
    current.select("case", "ill").sample(fraction=0.7, seed=1).write_csv(tmp_path / "late.csv")
    current.filter(pl.col("when").dt.weekday() >= 6).write_csv(tmp_path / "weekend.csv")


def columns_of(out: str) -> dict[str, dict[str, Any]]:
    return {one["column"]: one for one in json.loads(out)["columns"]}


CALM = ("--exclude", "case", "--exclude", "ill", "--fail-on", "drifted")


@pytest.mark.usefixtures("files")
def test_weekends_are_compared_with_weekends(offline: Offline, tmp_path: Path) -> None:
    code, out, _ = offline("drift", "reference.csv", "weekend.csv", *CALM, "--time", "when")
    assert code == 6
    assert "drifted" in out
    season = (*CALM, "--time", "when", "--season")
    code, out, err = offline("drift", "reference.csv", "weekend.csv", *season, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert columns_of(out)["age"]["status"] == "stable"
    assert [one["drifted"] for one in found["windows"]] == [[]] * 4
    assert any("as many of each day of the week" in one for one in found["notes"])
    # What the season does not explain is still found, in the windows and in the whole.
    moved = pl.read_csv(tmp_path / "weekend.csv", try_parse_dates=True)
    moved = moved.with_columns(pl.col("age") + 8)
    moved.write_csv(tmp_path / "moved.csv")
    code, out, _ = offline("drift", "reference.csv", "moved.csv", *season, "--json")
    assert code == 6
    assert columns_of(out)["age"]["status"] == "drifted"
    assert all("age" in one["drifted"] for one in json.loads(out)["windows"])


@pytest.mark.usefixtures("files")
def test_windows_that_the_reference_does_not_know_are_said(
    offline: Offline, tmp_path: Path
) -> None:
    weekdays = pl.read_csv(tmp_path / "reference.csv", try_parse_dates=True)
    weekdays.filter(pl.col("when").dt.weekday() < 6).write_csv(tmp_path / "weekdays.csv")
    season = ("--time", "when", "--season", "--exclude", "case")
    code, out, err = offline("drift", "weekdays.csv", "current.csv", *season, "--json")
    assert code == 0, err
    found = json.loads(out)
    unknown = [one["name"] for one in found["windows"] if not one["against"]]
    assert unknown == ["2026-03-21", "2026-03-22", "2026-03-28", "2026-03-29"]
    assert any("too few rows of windows like 2026-03-21" in one for one in found["notes"])
    known = [one for one in found["windows"] if one["against"]]
    assert not any(name in one["drifted"] for one in known for name in ("age", "income"))
    code, out, err = offline("drift", "weekdays.csv", "current.csv", *season, "--html", "page.html")
    assert code == 0
    assert "rows: not compared: the reference has no window like it" in err
    code, _, err = offline("drift", "weekdays.csv", "weekend.csv", *season)
    assert (code, "no row has a time of which the reference has windows" in err) == (2, True)
    assert "the reference has no window like it" in (tmp_path / "page.html").read_text()


MODEL = ("--score", "score", "--label", "ill")


@pytest.mark.usefixtures("files")
def test_a_change_is_dated(offline: Offline, tmp_path: Path) -> None:
    over_time = (
        *MODEL,
        "--time",
        "when",
        "--every",
        "month",
        "--detect",
        "error",
        "--detect",
        "income",
    )
    code, out, err = offline("drift", "reference.csv", "current.csv", *over_time, "--json",
                             "--html", "page.html", "--fail-on", "drifted")  # fmt: skip
    assert code == 6, err
    error, income = json.loads(out)["over_time"]
    assert income["changes"] == []
    first = error["changes"][0]
    began = np.datetime64(int(first["began"] * 1_000), "ms") - MONDAY
    assert abs(began.astype(int) / DAY_MS - 78) < 0.5
    assert first["began"] < first["noticed"]
    assert first["before"] == pytest.approx(0.3, abs=0.05)
    assert first["after"] > 0.55
    page = (tmp_path / "page.html").read_text()
    assert 'aria-label="error over time"' in page
    assert "Changes of error" in page
    assert "Changes of income" not in page
    _, _, err = offline("drift", "reference.csv", "current.csv", *over_time)
    assert "`error` over time: " in err
    assert "began about 2026-03-2" in err
    assert "`income` over time: no change of its level" in err


@pytest.mark.usefixtures("files")
def test_late_labels_are_as_good_as_those_in_the_table(offline: Offline, tmp_path: Path) -> None:
    late = (*MODEL, "--labels", "late.csv", "--id", "case")
    code, out, err = offline("drift", "reference.csv", "unlabelled.csv", *late, "--json")
    assert code == 0, err
    joined = json.loads(out)
    kept = pl.read_csv(tmp_path / "late.csv")
    both = pl.read_csv(tmp_path / "unlabelled.csv", try_parse_dates=True)
    both.join(kept, on="case", how="left").write_csv(tmp_path / "joined.csv")
    direct = json.loads(offline("drift", "reference.csv", "joined.csv", *MODEL, "--json")[1])
    assert joined["model"]["current"]["rows"] == 2_100
    assert joined["model"]["current"] == direct["model"]["current"]
    assert any("labels that have come" in one for one in joined["model"]["estimate"]["warnings"])
    assert "case" not in columns_of(out)
    assert "labels: 2,100 joined by `case`" in joined["remarks"]
    # Also where errors over time need them, and the table has a few of its own.
    own = both.join(kept.head(500), on="case", how="left")
    own.write_csv(tmp_path / "own.csv")
    code, out, err = offline("drift", "reference.csv", "own.csv", *late, "--time", "when",
                             "--every", "month", "--detect", "error", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["model"]["current"] == direct["model"]["current"]
    assert json.loads(out)["over_time"][0]["values"] == 2_100
    assert json.loads(out)["over_time"][0]["changes"]


@pytest.mark.usefixtures("files")
def test_odd_labels_are_counted(offline: Offline, tmp_path: Path) -> None:
    kept = pl.read_csv(tmp_path / "late.csv")
    turned = kept.head(20).with_columns((1 - pl.col("ill")).alias("ill"))
    odd = pl.DataFrame({"case": [-1, None], "ill": [1, 1]})
    pl.concat([kept, kept.head(30), turned, odd]).write_csv(tmp_path / "odd.csv")
    current = pl.read_csv(tmp_path / "unlabelled.csv", try_parse_dates=True)
    pl.concat([current, current.head(40)]).write_csv(tmp_path / "twice.csv")
    code, out, err = offline("drift", "reference.csv", "twice.csv", *MODEL, "--labels", "odd.csv",
                             "--id", "case", "--json")  # fmt: skip
    assert code == 0, err
    assert [one for one in json.loads(out)["remarks"] if one.startswith("labels: ")] == [
        "labels: 2,100 joined by `case`",
        "labels: 1 labels have no prediction",
        "labels: 30 labels came more than once and count once",
        "labels: 20 labels contradict an earlier one, which stays",
        "labels: 40 predictions have an id that was there before",
        "labels: 1 have no id",
    ]
    assert json.loads(out)["model"]["current"]["rows"] == 2_100


@pytest.mark.usefixtures("files")
def test_features_that_matter(offline: Offline, tmp_path: Path) -> None:
    frame(2_000, 5, 70, 14, swapped=True).write_csv(tmp_path / "swapped.csv")
    model = (*MODEL, "--exclude", "case", "--attribution", "--fail-on", "drifted", "--json")
    code, out, err = offline("drift", "reference.csv", "current.csv", *model)
    found = json.loads(out)["attribution"]
    assert code == 0, err
    assert (found["drifted"], found["ndcg"]) == (False, pytest.approx(1.0, abs=0.01))
    assert found["importances"][0][0] == "age"
    code, out, _ = offline("drift", "reference.csv", "swapped.csv", *model, "--html", "page.html")
    found = json.loads(out)["attribution"]
    assert (code, found["drifted"]) == (6, True)
    assert found["moved"][0] == ["age", 1, 2]
    assert "permutation" in found["method"]
    page = (tmp_path / "page.html").read_text()
    assert 'aria-label="Shares of importances"' in page
    assert "`age` went from place 1 to 2" in page
    easy = (*model, "--threshold", "attribution=0.3", "--threshold", "jensen_shannon=2",
            "--threshold", "psi=99", "--threshold", "wasserstein=9")  # fmt: skip
    code, out, _ = offline("drift", "reference.csv", "swapped.csv", *easy)
    assert (code, json.loads(out)["attribution"]["drifted"]) == (0, False)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("asked", "says"), [
    ("--season", "--season needs --time"),
    ("--detect age", "--detect needs --time"),
    ("--time when --detect error", "needs labels in the current sample"),
    ("--time when --detect mood", "no column `mood`"),
    ("--time when --detect when", "holds no numbers"),
    ("--time age --season", "holds no times"),
    ("--attribution", "--attribution needs"),
    ("--labels late.csv", "--labels needs --id"),
    ("--id case", "--id goes with --labels"),
    ("--score score --label ill --labels late.csv --id mood", "no column `mood`"),
    ("--score score --label ill --labels reference.csv --id late", "no column `late`"),
    ("--score score --label ill --labels nowhere.csv --id case", "nowhere.csv"),
])  # fmt: skip
def test_what_lacks_its_other_half_is_refused(offline: Offline, asked: str, says: str) -> None:
    code, out, err = offline("drift", "reference.csv", "unlabelled.csv", *asked.split())
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.usefixtures("files")
def test_a_saved_reference_keeps_its_season_and_its_model(offline: Offline, tmp_path: Path) -> None:
    asked = ("--time", "when", "--season", *MODEL, "--exclude", "case")
    code, _, err = offline("drift", "reference.csv", "--save", "reference.state", *asked)
    assert code == 0, err
    assert (tmp_path / "reference.state").stat().st_size < 10_000
    direct = json.loads(offline("drift", "reference.csv", "weekend.csv", *asked, "--json")[1])
    code, out, err = offline("drift", "reference.state", "weekend.csv", *asked, "--json")
    assert code == 0, err
    saved = json.loads(out)
    assert columns_of(out)["age"]["status"] == "stable"
    assert [one["name"] for one in saved["windows"]] == [one["name"] for one in direct["windows"]]
    for side in ("reference", "current"):
        before, now = direct["model"][side], saved["model"][side]
        assert now["auc"] == pytest.approx(before["auc"], abs=0.005)
        assert now["accuracy"] == pytest.approx(before["accuracy"], abs=0.005)
    expected = saved["model"]["estimate"]["performance"]["accuracy"]
    assert expected == pytest.approx(
        direct["model"]["estimate"]["performance"]["accuracy"], abs=0.01
    )
    # Another model than the one that was counted, another length of windows, or none at all.
    wrong = ("--score", "income", "--label", "ill")
    code, _, err = offline("drift", "reference.state", "weekend.csv", *wrong)
    assert (code, "was saved with --score score, --label ill" in err) == (2, True)
    code, _, err = offline("drift", "reference.state", "weekend.csv", *asked, "--every", "week")
    assert (code, "saved without a season, or with other windows" in err) == (2, True)
    offline("drift", "reference.csv", "--save", "plain.state")
    code, _, err = offline("drift", "plain.state", "weekend.csv", *asked)
    assert (code, "saved without a season" in err) == (2, True)
    code, out, _ = offline("drift", "plain.state", "weekend.csv", *MODEL, "--json")
    assert (code, "keeps nothing of the model" in out) == (0, True)
    code, _, err = offline("drift", "reference.csv", "plain.state", "--time", "when", "--detect",
                           "age")  # fmt: skip
    assert code != 0
