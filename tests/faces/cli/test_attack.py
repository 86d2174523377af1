"""`strongroom attack`, through the entry point: what runs, what is kept, how it ends."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.faces.cli.conftest import Offline

from strongroom.engines.robustness.assessment.catalog import tests as all_tests
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.space import Feature, Space
from strongroom.errors import RateLimitedError, SignInError, UsageError, ValidationError
from strongroom.faces.cli.attack_address import Address, Asked

LOSS = ("--test", "membership.loss")


def people(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, town = rng.uniform(18, 90, rows), rng.choice(["north", "south"], rows)
    ill = rng.random(rows) < 1 / (1 + np.exp(-(age - 54) / 12 - (town == "north")))
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "age": age,
            "dose": rng.integers(1, 9, rows),
            "ill": ill.astype(int),
        }
    )


@pytest.fixture
def files(tmp_path: Path) -> None:
    """A tree that knows its rows by heart, they, and others."""
    trained, others = people(200, 1), people(200, 2)
    tree = DecisionTreeClassifier(random_state=0).fit(trained[["age", "dose"]], trained["ill"])
    joblib.dump(tree, tmp_path / "tree.joblib")
    trained.to_csv(tmp_path / "trained.csv", index=False)
    others.to_csv(tmp_path / "others.csv", index=False)


ROWS = ("--data", "trained.csv", "--held-out", "others.csv", "--label", "ill")


@pytest.mark.usefixtures("files")
def test_a_model_is_attacked_under_a_plan_that_was_drafted(
    offline: Offline, tmp_path: Path
) -> None:
    code, _, err = offline(
        "attack", "tree.joblib", "--label", "ill", *LOSS, "--draft-plan", "plan.toml"
    )
    assert (code, "set the gates" in err) == (0, True)
    drafted = parse_plan((tmp_path / "plan.toml").read_text())
    assert drafted.tests == ("membership.loss",)
    assert drafted.gates.keys() == {"membership.loss"}
    text = (tmp_path / "plan.toml").read_text()
    (tmp_path / "strict.toml").write_text(
        text.replace('measure = "TPR at 1 % FPR"', 'measure = "AUC"')
    )
    code, out, _ = offline(
        "attack", "tree.joblib", *ROWS[:4], "--plan", "strict.toml", "--json",
        "--html", "report.html", "-o", "report.json", "--keep", "kept",
    )  # fmt: skip
    assert code == 6  # an area of at most .05 is kept by nobody
    found = json.loads(out)
    assert (found["verdict"], found["model"]) == ("failed", "tree.joblib")
    assert found == json.loads((tmp_path / "report.json").read_text())
    assert found["tests"][0]["outcome"]["canary"]["was_found"]
    assert "tree.joblib: failed" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "kept").exists()  # it has ended: nothing is left to go on with
    # What is there stays, unless it may be replaced.
    assert offline("attack", "tree.joblib", *ROWS, *LOSS, "-o", "report.json")[0] == 1


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give the model"),
        (("tree.joblib",), 2, "give rows"),
        (("nowhere.onnx", *ROWS), 2, "no file or folder"),
        (("tree.joblib", "--data", "nowhere.csv"), 2, "nowhere.csv"),
        (("tree.joblib", *ROWS, "--test", "evasion.magic"), 1, "no test `evasion.magic`"),
        (("tree.joblib", *ROWS, "--rows", "0"), 2, ""),
        (("tree.joblib", *ROWS, "--plan", "trained.csv"), 1, "not TOML"),
        (("trained.csv", *ROWS), 1, "neither ONNX"),
        (("tree.joblib", *ROWS, "-o", "trained.csv", "--force"), 1, "a file that is read"),
        (("http://example.org/score", *ROWS), 2, "https"),
        (("https://example.org/", *ROWS), 2, "/score"),
        (("--self", "--test", "self.magic", "--server", "https://localhost:1"), 3, "API key"),
    ],
)
def test_what_is_wrong_is_said(
    offline: Offline, arguments: tuple[str, ...], code: int, words: str
) -> None:
    met, _, err = offline("attack", *arguments)
    assert (met, words in err) == (code, True), err


@pytest.mark.usefixtures("files")
def test_a_broken_assessment_goes_on(offline: Offline, tmp_path: Path) -> None:
    plan = 'version = 1\ntests = ["membership.loss"]\n[columns]\nlabel = "ill"\n'
    (tmp_path / "plan.toml").write_text(plan)
    ran = {
        "test": "membership.loss", "threat": 2, "title": "Loss", "gates": [], "outcome": None,
        "status": None, "broke": "the power was gone", "cpu_seconds": 1.0,
    }  # fmt: skip
    kept = json.dumps({"plan": parse_plan(plan).digest}) + "\n"
    kept += json.dumps({"version": 1, "tests": [ran]})
    (tmp_path / "kept").write_text(kept)
    arguments = ("attack", "tree.joblib", *ROWS[:4], "--plan", "plan.toml", "--keep", "kept")
    code, out, _ = offline(*arguments)  # it was run before, so it is not run again
    assert (code, "the power was gone" in out) == (1, True)
    (tmp_path / "kept").write_text(kept)
    (tmp_path / "plan.toml").write_text(plan + 'left_out = ["id"]\n')
    code, _, err = offline(*arguments)
    assert (code, "another plan" in err) == (1, True)
    (tmp_path / "kept").write_text("what is this")
    assert "holds no assessment" in offline(*arguments)[2]


def test_every_test_has_a_place_in_the_docs() -> None:
    text = Path("docs/robustness.md").read_text(encoding="utf-8")
    for one in all_tests():
        assert f"`{one.id}`" in text, one.id


# ---- a model behind an address ----

SPACE = Space([Feature("age", 0, 100), Feature("town", levels=("north", "south"))])


class Model(BaseHTTPRequestHandler):
    """Ill from 50 on, in three protocols; asks for patience at the first request."""

    waits = 0
    answer: Any = None

    def do_POST(self) -> None:  # the name its base looks for
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != "Bearer srk_good":
            self.tell(401, {"error": "send an API key"})
        elif Model.waits:
            Model.waits -= 1
            self.tell(429, {"error": "slowly"}, retry="7")
        elif Model.answer is not None:
            self.tell(200, Model.answer)
        elif self.path.endswith("/score"):
            ages = [one["age"] for one in body["records"]]
            chances = [[0.9, 0.1] if age >= 50 else [0.2, 0.8] for age in ages]
            self.tell(200, {
                "predictions": ["yes"], "probabilities": chances, "classes": ["yes", "no"],
            })  # fmt: skip
        elif self.path.endswith("/infer"):
            ages = next(one["data"] for one in body["inputs"] if one["name"] == "age")
            labels = ["yes" if age >= 50 else "no" for age in ages]
            self.tell(200, {"outputs": [{"name": "label", "data": labels}]})
        else:
            at = body["dataframe_split"]["columns"].index("age")
            rows = body["dataframe_split"]["data"]
            self.tell(200, {"predictions": ["yes" if row[at] >= 50 else "no" for row in rows]})

    def tell(self, status: int, body: object, retry: str = "") -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        if retry:
            self.send_header("Retry-After", retry)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # its base's name
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    (tmp_path / "key").write_text("srk_good\n")
    Model.waits, Model.answer = 0, None
    yield f"http://127.0.0.1:{server.server_port}/endpoints/clinic/risk"
    server.shutdown()
    server.server_close()
    thread.join()


def asked(address: str, tmp_path: Path, waited: list[float]) -> Asked:
    how = Address(key_file=tmp_path / "key", rows_each=2)
    return Asked(address, how, wait=waited.append)


@pytest.mark.parametrize("protocol", ["score", "v2/models/risk/infer", "invocations"])
def test_a_model_behind_an_address_answers(address: str, tmp_path: Path, protocol: str) -> None:
    waited: list[float] = []
    points = SPACE.encode({
        "age": np.array([70.0, 30.0, 60.0]),
        "town": np.array(["north", "south", "north"], dtype=object),
    })  # fmt: skip
    Model.waits = 1
    with asked(f"{address}/{protocol}", tmp_path, waited) as model:
        scores = model.predict(SPACE, ("no", "yes"))(points)
    assert scores.argmax(axis=1).tolist() == [1, 0, 1]
    assert waited == [7.0]
    if protocol == "score":
        np.testing.assert_allclose(scores[0], [0.1, 0.9])


def test_an_address_that_refuses_or_answers_nonsense_is_told(address: str, tmp_path: Path) -> None:
    points = SPACE.encode({"age": np.array([70.0]), "town": np.array(["north"], dtype=object)})
    with asked(f"{address}/score", tmp_path, []) as model:
        ask = model.predict(SPACE, ("no", "yes"))
        Model.waits = 1_000
        with pytest.raises(RateLimitedError):
            ask(points)
        Model.waits = 0
        for answer, names in (
            ({}, "protocol"), ([1], "JSON object"), ({"predictions": ["perhaps"]}, "class"),
            ({"predictions": ["no"], "probabilities": [[1, 2, 3]]}, "3 probabilities"),
        ):  # fmt: skip
            Model.answer = answer
            with pytest.raises(ValidationError, match=names):
                ask(points)
        Model.answer = {"predictions": ["no"]}
        with pytest.raises(ValidationError, match="answers with classes"):
            model.predict(SPACE, ())(points)
    (tmp_path / "key").write_text("srk_wrong\n")
    with (
        asked(f"{address}/score", tmp_path, []) as model,
        pytest.raises(SignInError, match="send an API key"),
    ):
        model.predict(SPACE, ("no", "yes"))(points)
    (tmp_path / "key").write_text("")
    with pytest.raises(UsageError):
        asked(f"{address}/score", tmp_path, [])
