"""`strongroom train`, through the entry point: from a bare file to a model and its record."""

import json
import warnings
from pathlib import Path

import joblib
import onnxruntime
import pyarrow.csv
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.engines.privacy.dp.training.people import people
from tests.faces.cli.conftest import Offline

from strongroom.engines.privacy.dp.training import additive
from strongroom.engines.privacy.dp.training.domain import Category, Choice, Number, parse_domain
from strongroom.engines.privacy.dp.training.model import model_from_json


@pytest.fixture(autouse=True)
def table(tmp_path: Path) -> None:
    rows = people(600).drop_columns(["income"])
    pyarrow.csv.write_csv(rows, tmp_path / "people.csv")


def test_a_domain_is_drafted_then_a_model_trained(offline: Offline, tmp_path: Path) -> None:
    code, _, err = offline(
        "train", "people.csv", "--target", "rich", "--subject", "person",
        "--draft-domain", "domain.toml",
    )  # fmt: skip
    assert code == 0
    assert "correct them" in err
    domain = parse_domain((tmp_path / "domain.toml").read_text())
    assert domain.target == Choice("rich", ("no", "yes"))
    age, wealth, town = domain.features
    assert isinstance(age, Number)
    assert isinstance(wealth, Number)
    assert (age.low, age.high) == (18, 90)
    assert town == Category("town", ("east", "north", "south"))
    code, out, err = offline(
        "train", "people.csv", "--domain", "domain.toml", "--target", "rich", "--subject", "person",
        "--rows", "3", "--epsilon", "2", "-o", "model",
    )  # fmt: skip
    assert code == 0
    assert "wealth" in out
    assert "epsilon 2 at delta 1e-06 for a person, as `person` tells them" in err
    model = model_from_json((tmp_path / "model" / "model.additive.json").read_text())
    assert [one.name for one in model.terms] == ["age", "wealth", "town"]
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    assert [one.name for one in session.get_inputs()] == ["age", "wealth", "town"]
    record = json.loads((tmp_path / "model" / "privacy.json").read_text())
    assert (record["epsilon"], record["public"]) == (2.0, "declared")
    code, _, err = offline("train", "people.csv", "--domain", "domain.toml", "--target", "town")
    assert (code, "says that `rich` is predicted" in err) == (2, True)


def test_a_domain_from_the_data_is_said_to_be_one(offline: Offline, tmp_path: Path) -> None:
    asked = ("train", "people.csv", "--target", "rich", "--subject", "person")
    code, out, _ = offline(*asked, "--domain-from-data", "--method", "boosting", "--json")
    assert code == 0
    shown = json.loads(out)
    assert "does not cover" in shown["public"]
    assert shown["folder"] == "people-private"
    assert any("floating-point" in one for one in shown["limits"])
    code, _, err = offline(*asked, "--domain-from-data", "-o", "other")
    assert code == 0
    assert "epsilon does not cover them" in err


def test_drafts_leave_out_what_names_people(offline: Offline, tmp_path: Path) -> None:
    offline("train", "people.csv", "--target", "rich", "--draft-domain", "all.toml", "--json")
    text = (tmp_path / "all.toml").read_text()
    assert '[columns."person"]' not in text
    assert 'left out: "person": more than 100 different values' in text


def test_a_trainer_is_audited_before_it_sees_the_table(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("train", "people.csv", "--target", "rich", "--domain-from-data", "--audit")
    code, _, err = offline(*asked)
    assert code == 0
    assert "audit on made-up rows" in err
    assert "1 is promised" in err
    assert (tmp_path / "people-private" / "privacy.json").exists()
    monkeypatch.setattr(additive, "gaussian", lambda *_: lambda values: values)
    code, _, err = offline(*asked, "-o", "other")
    assert code == 1
    assert "tells more than it says" in err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--domain-from-data",), 2),
        (("--domain-from-data", "--target", "rich", "--method", "forest"), 2),
        (("--domain-from-data", "--target", "rich", "--rows", "2"), 2),
        (("--domain-from-data", "--target", "town"), 1),
        (("--domain-from-data", "--target", "nothing"), 1),
        (("--domain-from-data", "--target", "rich", "--epsilon", "0"), 2),
        (("--domain-from-data", "--target", "rich", "--epsilon", "nan"), 2),
        (("--domain-from-data", "--target", "rich", "--delta", "1"), 2),
        (("--domain-from-data", "--target", "rich", "--epsilon", "101"), 1),
        (("--domain", "absent.toml"), 2),
        (("--domain", "people.csv"), 1),
        (("--domain", "people.csv", "--target", "rich"), 1),
    ],
)
def test_what_cannot_be_trained_is_said(
    offline: Offline, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    found, _, err = offline("train", "people.csv", *arguments)
    assert found == code
    assert "next:" in err
    assert not list(tmp_path.glob("*private"))


def test_nothing_is_written_over(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "people-private").mkdir()
    held = tmp_path / "people-private" / "privacy.json"
    held.write_text("mine")
    asked = ("train", "people.csv", "--target", "rich", "--domain-from-data")
    assert offline(*asked)[0] == 1
    assert held.read_text() == "mine"
    assert offline(*asked, "--force")[0] == 0
    assert held.read_text() != "mine"


def test_a_table_is_made_up(offline: Offline, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mbi", reason="the extra `synthetic` is not installed")
    offline("train", "people.csv", "--target", "rich", "--subject", "person",
            "--draft-domain", "domain.toml")  # fmt: skip
    code, out, err = offline(
        "synthesize", "people.csv", "--domain", "domain.toml", "--subject", "person",
        "--rows", "3", "--epsilon", "4", "-o", "madeup.csv", "--report",
    )  # fmt: skip
    assert code == 0
    assert "rows that also exist" in out
    assert "for those who may see them" in err
    made = pyarrow.csv.read_csv(tmp_path / "madeup.csv")
    assert made.column_names == ["age", "wealth", "town", "rich"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--domain", "absent.toml", "-o", "a.csv"), 2),
        (("--domain", "people.csv", "-o", "a.csv"), 1),
        (("--domain", "domain.toml", "-o", "a.txt"), 2),
        (("--domain", "domain.toml", "-o", "a.csv", "--rows", "2"), 2),
        (("--domain", "domain.toml", "-o", "people.csv"), 1),
        (("--domain", "domain.toml"), 2),
    ],
)
def test_what_cannot_be_made_up_is_said(
    offline: Offline, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    asked = ("train", "people.csv", "--target", "rich", "--draft-domain", "domain.toml")
    assert offline(*asked)[0] == 0
    assert offline("synthesize", "people.csv", *arguments)[0] == code
    assert not (tmp_path / "a.csv").exists()


def test_an_attack_holds_a_model_to_what_its_record_claims(
    offline: Offline, tmp_path: Path
) -> None:
    """Under a plan with gates of its own, too: what a model claims is no matter of the plan."""
    pyarrow.csv.write_csv(people(300, 5).drop_columns(["income"]), tmp_path / "others.csv")
    asked = ("train", "people.csv", "--target", "rich", "--method", "boosting", "--epsilon", "3")
    assert offline(*asked, "--domain-from-data", "-o", "model")[0] == 0
    (tmp_path / "plan.toml").write_text(
        'version = 1\ntests = ["membership.rmia"]\n[columns]\nlabel = "rich"\n'
        'left_out = ["person"]\n[[gates]]\ntest = "membership.rmia"\nmeasure = "AUC"\nat_most = 1\n'
    )
    attack = ("attack", "model", "--data", "people.csv", "--held-out", "others.csv", "--plan",
              "plan.toml", "--json")  # fmt: skip
    found = json.loads(offline(*attack)[1])
    [test] = found["tests"]
    assert [(one["measure"], one["bound"]) for one in test["gates"]] == [
        ("AUC", 1.0), ("epsilon shown", 3.0),
    ]  # fmt: skip
    assert any("epsilon 3 at delta 1e-06" in one for one in found["remarks"])
    shown = {one["name"]: one["value"] for one in test["outcome"]["measures"]}["epsilon shown"]
    assert 0 <= shown <= 3
    # A record that claims what nobody keeps is found out: the tree below knows its rows by heart.
    rows = people(600).drop_columns(["income"]).to_pandas()
    tree = DecisionTreeClassifier(random_state=0).fit(rows[["age", "wealth"]], rows["rich"])
    (tmp_path / "tree").mkdir()
    joblib.dump(tree, tmp_path / "tree" / "model.joblib")
    (tmp_path / "tree" / "privacy.json").write_text('{"epsilon": 0.1, "delta": 0}')
    code, out, _ = offline("attack", "tree", *attack[2:])
    [test] = json.loads(out)["tests"]
    shown = {one["name"]: one["value"] for one in test["outcome"]["measures"]}["epsilon shown"]
    assert (code, test["status"]) == (6, "failed")
    assert shown > 0.1
