"""`strongroom harden`, through the entry point: what it trains, compares, writes and refuses."""

import csv
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tests.faces.cli.conftest import Offline

from strongroom.errors import ValidationError
from strongroom.faces.cli import harden
from strongroom.faces.cli.harden import RECORD_NAME

ROWS = ("--data", "trained.csv", "--held-out", "others.csv", "--label", "ill", "--leave-out", "id")
LOSS = ("--test", "membership.loss")


def people(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, town = rng.uniform(18, 90, rows), rng.choice(["north", "south"], rows)
    ill = rng.random(rows) < 1 / (1 + np.exp(-(age - 54) / 4 - (town == "north")))
    dose = rng.integers(1, 9, rows)
    return pd.DataFrame(
        {"id": np.arange(rows), "age": age, "town": town, "dose": dose, "ill": ill.astype(int)}
    )


@pytest.fixture
def files(tmp_path: Path) -> pd.DataFrame:
    """A tree that knows its rows by heart, they, and others; every fortieth label is wrong."""
    trained, others = people(240, 1), people(200, 2)
    wrong = np.arange(len(trained)) % 40 == 7
    trained["ill"] = np.where(wrong, 1 - (trained["age"] > 54), trained["age"] > 54).astype(int)
    tree = make_pipeline(
        make_column_transformer((StandardScaler(), ["age", "dose"]), (OneHotEncoder(), ["town"])),
        DecisionTreeClassifier(random_state=0),
    ).fit(trained[["age", "town", "dose"]], trained["ill"])
    joblib.dump(tree, tmp_path / "tree.joblib")
    trained.to_csv(tmp_path / "trained.csv", index=False)
    others.to_csv(tmp_path / "others.csv", index=False)
    return others


def answers(folder: Path, rows: pd.DataFrame) -> Any:  # noqa: ANN401 # labels
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    feed = {}
    for one in session.get_inputs():
        column = rows[one.name].to_numpy().reshape(-1, 1)
        feed[one.name] = column.astype(object if one.name == "town" else np.float32)
    return session.run(None, feed)[0]


def test_ways_are_compared_side_by_side(
    offline: Offline, files: pd.DataFrame, tmp_path: Path
) -> None:
    code, out, err = offline(
        "harden", "tree.joblib", *ROWS, *LOSS, "--way", "adversarial", "--way", "dropping",
        "--way", "rounding", "--way", "private", "--rounds", "1", "--epsilon", "3",
        "--domain-from-data", "--drop", "dose", "--labels-only", "-o", "hard", "--html",
        "hard.html", "--report", "hard.json", "--json",
    )  # fmt: skip
    assert code in {0, 6}, err
    found = json.loads(out)
    assert found == json.loads((tmp_path / "hard.json").read_text())
    ways = {("control" if one["is_control"] else one["way"]): one for one in found["ways"]}
    assert found["could_not"] == {}
    assert set(ways) == {"control", "adversarial", "dropping", "rounding", "private"}
    for name in ("adversarial", "dropping"):
        folder = tmp_path / "hard" / name
        assert {one.name for one in folder.iterdir()} == {
            "model.onnx", "MLmodel", "recipe.json", RECORD_NAME,
        }  # fmt: skip
        record = json.loads((folder / RECORD_NAME).read_text())
        right = float((answers(folder, files) == files["ill"]).mean())
        assert right == pytest.approx(ways[name]["cost"]["accuracy"]["value"])
        assert record["made"]["recipe"]["kind"] == "DecisionTreeClassifier"
        assert record["made"]["is_own"]
        assert record["parent"]["files"].keys() == {"tree.joblib"}
        assert record["seed"] == 1
    assert ways["dropping"]["says"][0].startswith("Trained without dose")
    assert "dose" not in (tmp_path / "hard/dropping/MLmodel").read_text()
    assert {one.name for one in (tmp_path / "hard/rounding").iterdir()} == {
        "answers.json", RECORD_NAME,
    }  # fmt: skip
    assert json.loads((tmp_path / "hard/rounding/answers.json").read_text())["shows"] == "labels"
    assert ways["rounding"]["cost"]["gain"]["value"] == 0.0  # every label stays
    assert ways["private"]["cost"]["epsilon"] == 3.0
    private = json.loads((tmp_path / "hard/private/privacy.json").read_text())
    assert private["public"].startswith("read off the data")
    assert "what helps" not in out
    page = (tmp_path / "hard.html").read_text()
    assert "tree.joblib, before and after" in page
    assert "<script" not in page
    # What came out is a model like any other, and what is there stays.
    code, out, _ = offline("attack", "hard/dropping", *ROWS, *LOSS, "--json")
    assert code in {0, 6}
    measures = json.loads(out)["tests"][0]["outcome"]["measures"]
    assert "shadow fits" in {one["name"] for one in measures}  # by the recipe that came with it
    assert offline("harden", "tree.joblib", *ROWS, "--way", "dropping", "-o", "hard")[0] == 1


def test_a_run_that_breaks_off_goes_on(
    offline: Offline, files: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("harden", "tree.joblib", *ROWS, *LOSS, "--way", "rounding", "-o", "hard",
                 "--keep", "kept", "--json")  # fmt: skip

    def broken(*_: object) -> None:
        raise ValidationError("broken off")

    with monkeypatch.context() as patched:
        patched.setattr(harden, "subject_after", broken)
        assert offline(*arguments)[0] == 1
    kept = tmp_path / "kept"
    assert kept.stat().st_mode & 0o077 == 0  # it tells of rows
    code, _, err = offline(*arguments, "--seed", "5")
    assert (code, "another plan" in err) == (1, True)
    kept.rename(tmp_path / "kept.rounding")  # what was done of another side is not taken for this
    code, _, err = offline(*arguments)
    assert (code, "another model" in err) == (1, True)
    (tmp_path / "kept.rounding").unlink()
    code, out, _ = offline(*arguments)
    assert code in {0, 6}
    found = json.loads(out)
    assert any("read from a file: membership.loss" in one for one in found["before"]["remarks"])
    assert sorted(one.name for one in tmp_path.glob("kept*")) == []


def test_a_person_judges_rows_and_the_rest_is_trained_on(
    offline: Offline, files: pd.DataFrame, tmp_path: Path
) -> None:
    labels = ("--test", "poisoning.labels")
    code, _, err = offline("attack", "tree.joblib", *ROWS, *labels, "--quarantine", "q.csv")
    assert (code, "then `strongroom harden --without`" in err) == (6, True)
    with (tmp_path / "q.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    wrong = {str(row) for row in range(8, 241, 40)}
    assert len(wrong & {one["row"] for one in listed}) >= 5
    without = ("--without", "q.csv")
    code, out, _ = offline(
        "harden", "tree.joblib", *ROWS, *labels, *without, "-o", "hard", "--no-control", "--json"
    )
    found = json.loads(out)
    assert (code, found["left_out"]) == (0, len(listed))
    [way] = found["ways"]
    assert (way["way"], way["verdict_before"], way["verdict"]) == ("retrained", "failed", "passed")
    flagged = next(one for one in way["changes"] if one["before"]["name"] == "flagged share")
    assert flagged["after"]["value"] < flagged["before"]["value"]
    assert way["warns"] == []
    right = (answers(tmp_path / "hard/retrained", files) == files["ill"]).mean()
    assert right == pytest.approx(way["cost"]["accuracy"]["value"])
    table = pd.read_csv(tmp_path / "trained.csv")
    table.loc[0, "dose"] += 1
    table.to_csv(tmp_path / "trained.csv", index=False)
    code, _, err = offline("harden", "tree.joblib", *ROWS, *labels, *without, "-o", "other")
    assert (code, "other data" in err) == (1, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--way", "magic"), 2, "no way `magic`"),
        ((), 2, "which way?"),
        (("--way", "private"), 2, "takes --epsilon"),
        (("--way", "private", "--epsilon", "1"), 2, "bounds and categories"),
        (("--way", "dropping", "--drop", "size"), 1, "no feature `size`"),
        (("--way", "regularised", "--recipe", "magic"), 1, "reference recipes"),
        (("--way", "regularised", "--radius", "-1"), 2, ""),
        (("--way", "regularised", "--test", "evasion.magic"), 1, "no test `evasion.magic`"),
        (("--way", "retrained", "--without", "others.csv"), 1, "no column"),
        (("--way", "retrained", "--without", "nowhere.csv"), 2, "no file"),
        (("--way", "retrained", "--html", "trained.csv", "--force"), 1, "a file that is read"),
    ],
    ids=range(11),
)
def test_what_is_wrong_is_said(
    offline: Offline, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    chosen = () if "--test" in arguments else LOSS
    met, _, err = offline("harden", "tree.joblib", *ROWS, *chosen, *arguments, "-o", "hard")
    assert (met, words in err) == (code, True), err
    assert not list(tmp_path.glob("hard/*/model*"))


@pytest.mark.usefixtures("files")
def test_models_that_cannot_be_trained_anew_are_refused(offline: Offline, tmp_path: Path) -> None:
    code, _, err = offline("harden", "https://example.org/score", *ROWS, "--way", "all", "-o", "x")
    assert (code, "behind an address" in err) == (2, True)
    code, _, err = offline("harden", "tree.joblib", "--data", "trained.csv", "--way", "all",
                           "-o", "x")  # fmt: skip
    assert (code, "--held-out" in err) == (2, True)
    code, _, err = offline(
        "harden", "tree.joblib", *ROWS, *LOSS, "--way", "retrained", "--recipe", "logistic",
        "--no-control", "-o", "x",
    )  # fmt: skip
    assert code in {0, 6}
    record = json.loads((tmp_path / "x/retrained" / RECORD_NAME).read_text())
    assert (record["made"]["recipe"]["kind"], record["made"]["is_own"]) == (
        "LogisticRegression", False,
    )  # fmt: skip
