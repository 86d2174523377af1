"""`strongroom attack`, through the entry point: what runs, what is kept, how it ends."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier
from tests.faces.cli.conftest import Offline

from strongroom.engines.robustness.assessment.catalog import tests as all_tests
from strongroom.engines.robustness.assessment.keeping import Kept
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Ran
from strongroom.engines.robustness.leakage.words import Said
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import ModelError
from strongroom.errors import (
    CallerError,
    RateLimitedError,
    SignInError,
    UsageError,
    ValidationError,
)
from strongroom.faces.cli.attack_address import Address, Asked
from strongroom.faces.cli.attack_inputs import inputs_of
from strongroom.faces.cli.attack_shown import keep

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
        (("--held-out", "others.csv"), 2, "give the model"),
        (("--data", "trained.csv"), 1, "what is predicted"),
        (("--data", "trained.csv", "--label", "sick"), 1, "no column `sick`"),
        (("http://127.0.0.1:1/score", *ROWS), 7, "ConnectError"),
        (("tree.joblib", *ROWS, "--sign", "key.pem"), 2, "-o report.json"),
        (("tree.joblib", *ROWS, "--sign", "key.pem", "-o", "r.json"), 1, "key.pem"),
        (("--self", "--sign", "key.pem"), 2, "on a model"),
        (("tree.joblib", "--data", "-", "--sign", "key.pem", "-o", "r.json"), 2, "stdin"),
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
    ran = Ran("membership.loss", 2, "Loss", (), None, None, "the power was gone", 1.0)
    rows = {"trained": tmp_path / "trained.csv", "held_out": tmp_path / "others.csv"}
    settings = {"strongroom": version("strongroom"), "epsilon": None}
    inputs = inputs_of(tmp_path / "tree.joblib", "", rows, settings)
    keep(tmp_path / "kept", parse_plan(plan), inputs, Kept({ran.test: ran}))
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    kept = (tmp_path / "kept").read_bytes()
    arguments = ("attack", "tree.joblib", *ROWS[:4], "--plan", "plan.toml", "--keep", "kept")
    code, out, err = offline(*arguments)  # it was run before, so it is not run again
    assert (code, "the power was gone" in out) == (1, True)
    assert "of an earlier try, read from a file: membership.loss" in err
    (tmp_path / "kept").write_bytes(kept)
    (tmp_path / "plan.toml").write_text(plan + 'left_out = ["id"]\n')
    code, _, err = offline(*arguments)
    assert (code, "another plan" in err) == (1, True)
    (tmp_path / "plan.toml").write_text(plan)
    for name in ("tree.joblib", "trained.csv", "others.csv"):  # of these it says nothing then
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(before + b"\n" if name.endswith("csv") else before + b".")
        code, _, err = offline(*arguments)
        assert (code, "another model or other rows" in err) == (1, True), name
        (tmp_path / name).write_bytes(before)
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
    failure: tuple[int, Any] | None = None

    def do_POST(self) -> None:  # the name its base looks for
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != "Bearer srk_good":
            self.tell(401, {"error": "send an API key"})
        elif Model.waits:
            Model.waits -= 1
            self.tell(429, {"error": "slowly"}, retry="7")
        elif Model.failure is not None:
            self.tell(*Model.failure)
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
    (tmp_path / "key").chmod(0o600)
    Model.waits, Model.answer, Model.failure = 0, None, None
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
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(CallerError, match="can be read by others"):
        asked(f"{address}/score", tmp_path, [])
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key").write_text("")
    with pytest.raises(UsageError):
        asked(f"{address}/score", tmp_path, [])


def test_what_a_server_says_later_reaches_no_report(address: str, tmp_path: Path) -> None:
    points = SPACE.encode({"age": np.array([70.0]), "town": np.array(["north"], dtype=object)})
    with asked(f"{address}/score", tmp_path, []) as model:
        ask = model.predict(SPACE, ("no", "yes"))
        Model.failure = (400, {"error": "age 70 is wrong"})
        with pytest.raises(ValidationError, match="age 70 is wrong"):
            ask(points)
        Model.failure = None
        ask(points)
        Model.failure = (400, {"error": "age 70 is wrong"})
        with pytest.raises(ValidationError, match=r"answered 400$"):
            ask(points)
        Model.failure = (500, {"error": "age 70 is wrong"})
        with pytest.raises(ModelError) as raised:
            ask(points)
        assert (raised.value.is_fault, "70" in raised.value.message) == (True, False)


# ---- networks over images, and numbers ----


@pytest.fixture
def digits(tmp_path: Path) -> None:
    """A network over images of 4 x 4 cells, without a line of code in it, and its rows."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(40, 1, 4, 4)).astype(np.uint8)
    weights = [rng.normal(size=(3, 1, 3, 3)), rng.normal(size=(2, 12)), np.zeros(2)]
    logits = answered(network(weights), images)
    weights[2][0] = np.median(logits[:, 1] - logits[:, 0])  # half of them are of either class
    model = network(weights)
    (tmp_path / "net.onnx").write_bytes(model)
    labels = answered(model, images).argmax(axis=1)
    np.savez_compressed(tmp_path / "held.npz", x=images, y=labels)


def network(weights: list[np.ndarray]) -> bytes:
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w1", "w2"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(one.astype(np.float32), f"w{at}") for at, one in
         enumerate(weights)],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


def answered(model: bytes, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model)
    return np.asarray(session.run(None, {"x": images.astype(np.float32)})[0])


@pytest.mark.usefixtures("digits")
def test_a_network_over_images_is_attacked_by_its_own_slopes(
    offline: Offline, tmp_path: Path
) -> None:
    arguments = (
        "attack", "net.onnx", "--held-out", "held.npz", "--image-shape", "4x4", "--image-range",
        "0:255", "--distance", "0.3", "--test", "evasion.gradient", "--rows", "12", "--json",
    )  # fmt: skip
    code, out, err = offline(*arguments, "--html", "report.html", "--show-images", "2")
    assert code == 1, err  # no gate was set
    outcome = json.loads(out)["tests"][0]["outcome"]
    assert outcome["canary"] is not None, outcome["reason"]
    values = {one["name"]: one["value"] for one in outcome["measures"]}
    assert outcome["canary"]["was_found"]
    assert values["accuracy"] == 1.0
    assert values["evaded"] >= 0.9
    assert values["median distance in linf"] < values["median distance"]
    assert len(outcome["listed"]["pictures"]) == 2
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 6
    assert "declared = 0.3" in json.loads(out)["plan"]["text"]


@pytest.mark.usefixtures("digits", "files")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--image-shape", "4"), 2, "28x28"),
        (("--image-shape", "4x4", "--image-range", "0-255"), 2, "0:255"),
        (("--image-range", "0:255"), 2, "which shape"),
        (("--show-images", "3"), 2, "which shape"),
        (("--image-shape", "4x5"), 1, "4 x 5, the rows have 16"),
        (("--image-shape", "4x4", "--image-range", "9:9"), 1, "not below"),
        (("--norm", "l1"), 1, "l2 or linf"),
        (("--distance", "0"), 1, "declared"),
        (("--tolerance", "-1"), 1, "tolerance"),
        (("--plan", "plan.toml", "--norm", "l2"), 2, "a plan says all"),
        (("--label", "weight"), 1, "no column `weight`"),
    ],
    ids=range(11),
)
def test_what_is_wrong_of_images_is_said(
    offline: Offline, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "plan.toml").write_text("version = 1\n")
    given = ("attack", "net.onnx", "--held-out", "held.npz", "--test", "evasion.gradient")
    met, _, err = offline(*given, *arguments)
    assert (met, words in err) == (code, True), err


def test_a_file_of_arrays_with_a_pickle_is_refused(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    np.save(tmp_path / "rows.npy", np.array([[people]], dtype=object), allow_pickle=True)
    code, _, err = offline("attack", "net.onnx", "--held-out", "rows.npy")
    assert (code, "no array of plain numbers" in err) == (1, True), err


def test_a_regression_is_attacked_with_a_tolerance(offline: Offline, tmp_path: Path) -> None:
    rows = people(120, 3)
    model = Ridge().fit(rows[["age", "dose"]], rows["age"] + 3.0 * rows["dose"])
    joblib.dump(model, tmp_path / "ridge.joblib")
    rows.assign(cost=rows["age"] + 3.0 * rows["dose"]).to_csv(tmp_path / "rows.csv", index=False)
    arguments = (
        "attack", "ridge.joblib", "--held-out", "rows.csv", "--label", "cost", "--leave-out", "id",
        "--leave-out", "ill", "--rows", "8", "--json", "--test", "evasion.gradient",
    )  # fmt: skip
    _, out, _ = offline(*arguments, "--tolerance", "7.2", "--norm", "linf")
    values = {
        one["name"]: one["value"] for one in json.loads(out)["tests"][0]["outcome"]["measures"]
    }
    assert values["evaded"] == 1.0
    # Both ranges together: 72 years and 3 times 7 doses; 7.2 is 0.0774 of them, whole doses more.
    assert 0.07 < values["median distance"] < 0.15


def test_rows_are_searched_before_there_is_a_model(offline: Offline, tmp_path: Path) -> None:
    rows = people(300, 3)
    wrong = [7, 90, 201]
    rows["age"] = np.random.default_rng(5).normal(54, 14, len(rows))
    rows["dose"] = np.random.default_rng(6).normal(5, 2, len(rows))
    rows["ill"] = (rows["age"] > 54).astype(int)
    rows.loc[wrong, "ill"] = 1 - rows.loc[wrong, "ill"]
    rows.to_csv(tmp_path / "new.csv", index=False)
    code, out, err = offline(
        "attack", "--data", "new.csv", "--label", "ill", "--leave-out", "id", "--json",
        "--quarantine", "q.csv",
    )  # fmt: skip
    assert "there is no model" in err + out
    found = json.loads(out)
    assert (code, found["verdict"], found["model"]) == (0, "passed", "rows of new.csv")
    assert found["inputs"]["model"] == {}
    alone = [one.id for one in all_tests() if not one.needs_model]
    assert [one["test"] for one in found["tests"]] == alone
    assert {one.partition(".")[0] for one in alone} == {"poisoning"}
    listed = pd.read_csv(tmp_path / "q.csv")
    likely = listed.loc[listed["reasons"].str.contains("label contradicted"), "row"]
    assert {one + 1 for one in wrong} <= set(likely)
    _, out, err = offline(
        "attack", "--data", "new.csv", "--label", "ill", "--test", "poisoning.duplicates"
    )
    assert "s of processor time" in out + err  # each test says what it took
    # What asks a model says that there is none.
    code, out, _ = offline(
        "attack", "--data", "new.csv", "--label", "ill", *LOSS, "--json"
    )  # fmt: skip
    assert code == 1
    assert json.loads(out)["tests"][0]["outcome"]["reason"] == "there is no model yet"


def test_numbers_are_searched_before_there_is_a_model(offline: Offline, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"age": rng.uniform(18, 90, 250), "dose": rng.uniform(0, 9, 250)})
    rows["cost"] = 3 * rows["age"] + 20 * rows["dose"] + rng.normal(0, 3, 250)
    rows.loc[[4, 200], "cost"] += 400
    rows.to_csv(tmp_path / "costs.csv", index=False)
    code, out, _ = offline(
        "attack", "--data", "costs.csv", "--label", "cost", "--test", "poisoning.labels", "--json"
    )
    assert code == 0
    outcome = json.loads(out)["tests"][0]["outcome"]
    assert outcome["canary"]["was_found"] is True
    assert {5, 201} <= {one["row"] for one in outcome["listed"]["quarantine"]}


def test_a_server_is_heard_as_it_speaks(tmp_path: Path) -> None:
    waited: list[float] = []
    said: list[httpx.Response | Exception] = [
        httpx.Response(429, headers={"retry-after": "3"}),
        httpx.Response(500, text="age 70 is wrong", headers={"Server": "gunicorn/1.2"}),
        httpx.RemoteProtocolError("closed"),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        first = said.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    transport = httpx.MockTransport(answer)
    address = "https://there.example/score"
    with Asked(address, Address(), wait=waited.append, transport=transport) as model:
        heard = model.said({"age": [70.0], "town": ["north", "south"]})
        assert (heard.status, heard.text) == (500, "age 70 is wrong")
        assert (heard.headers["server"], waited) == ("gunicorn/1.2", [3.0])
        assert model.said({"age": [[1.0]]}) == Said(0, "")
