"""Many callers at once: each is served or told to wait; nothing is lost, doubled or stuck."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import pytest
from tests.journeys.labour import digest, table
from tests.journeys.served import WORKSPACE, Mlflow, Served

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    StrongroomError,
)

CALLERS = 12
Result = TypeVar("Result")


def patiently(work: Callable[[], Result]) -> Result:
    """What `work` gives in the end; told to wait, it waits."""
    for _ in range(200):
        try:
            return work()
        except RateLimitedError:
            time.sleep(0.05)
    raise AssertionError("told to wait for ever")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives or raises of ours, for each number, all begun at the same moment."""
    begin = threading.Barrier(count)

    def one(number: int) -> Any:  # noqa: ANN401 # whatever the work gives
        begin.wait(30)
        try:
            return work(number)
        except StrongroomError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count), timeout=120))


@pytest.fixture(autouse=True)
def _the_log_verifies_in_the_end(served: Served) -> Any:  # noqa: ANN401 # a generator for pytest
    yield
    # By an auditor of its own: verifying is limited to a few calls a minute.
    name = f"auditor-{time.monotonic_ns()}"
    served.person(name, "Auditor")
    with served.client(name) as auditor:
        auditor.call("audit.verify")
        faults = auditor.call("audit.search", outcome="failed", limit=500)["entries"]
    assert not [it for it in faults if it["reason"].startswith("internal")]


def test_different_tables_under_one_name(served: Served) -> None:
    def add(number: int) -> dict[str, Any]:
        with served.client("dan") as client:
            made: dict[str, Any] = patiently(
                lambda: client.call("data.add", table(number, 0), name="together", format="csv")
            )
            return made

    made = at_once(CALLERS, add)
    assert sorted(it["version"] for it in made) == list(range(1, CALLERS + 1))
    assert [it["digest"] for it in made] == [digest(number, 0) for number in range(CALLERS)]
    assert not any(it["existed"] for it in made)


def test_the_same_table_under_one_name(served: Served) -> None:
    def add(_: int) -> dict[str, Any]:
        with served.client("dan") as client:
            made: dict[str, Any] = patiently(
                lambda: client.call("data.add", table(0, 0), name="the-same", format="csv")
            )
            return made

    made = at_once(CALLERS, add)
    assert {it["version"] for it in made} == {1}
    assert [it["existed"] for it in made].count(False) == 1
    with served.client("dan") as client:
        assert len(client.call("data.show", name="the-same")["versions"]) == 1


def test_added_and_removed_and_read(served: Served) -> None:
    def act(number: int) -> None:
        with served.client("olga") as client:
            for turn in range(4):
                try:
                    if number % 3 == 0:
                        content = table(number, turn)
                        client.call("data.add", content, name="fleeting", format="csv")
                    elif number % 3 == 1:
                        client.read_table("fleeting")
                    else:
                        client.call("data.rm", name="fleeting")
                except (NotFoundError, RateLimitedError):
                    continue

    assert at_once(CALLERS, act) == [None] * CALLERS


def test_versions_of_one_model(served: Served) -> None:
    with Mlflow(served, "dan") as mlflow:
        run = mlflow.run("together")
        for number in range(6):
            mlflow.put(run, f"model-{number}/notes.md", b"# model %d\n" % number)
        mlflow.made("registered-models/create", {"name": "together"})

    def register(number: int) -> httpx.Response:
        with Mlflow(served, "dan") as mlflow:
            return mlflow.rpc(
                "model-versions/create",
                {
                    "name": "together", "source": f"{run['artifact_uri']}/model-{number}",
                    "run_id": run["run_id"],
                },
            )  # fmt: skip

    answers = at_once(6, register)
    assert [it.status_code for it in answers] == [200] * 6, [it.text for it in answers]
    versions = sorted(int(it.json()["model_version"]["version"]) for it in answers)
    assert versions == list(range(1, 7))
    with Mlflow(served, "dan") as mlflow:
        for number in versions:
            assert mlflow.checked("together", number)["status"] == "READY"
    with served.client("dan") as client:
        held = client.call("model.ls", name="together")["versions"]
        assert sorted(it["version"] for it in held) == versions
        assert {it["state"] for it in held} == {"checked"}


def test_one_name_for_a_new_model_and_one_for_a_workspace(served: Served) -> None:
    def create(_: int) -> httpx.Response:
        with Mlflow(served, "dan") as mlflow:
            return mlflow.rpc("registered-models/create", {"name": "only-one"})

    answers = at_once(CALLERS, create)
    statuses = Counter(it.status_code for it in answers)
    assert statuses == {200: 1, 400: CALLERS - 1}, [it.text for it in answers]

    def make(_: int) -> Any:  # noqa: ANN401 # a workspace
        with served.client() as operator:
            return operator.call("workspace.create", name="only-one")

    made = at_once(CALLERS, make)
    assert [isinstance(it, ConflictError) for it in made].count(False) == 1, made


def test_one_decision_of_many_on_a_model(served: Served) -> None:
    with Mlflow(served, "dan") as mlflow:
        run = mlflow.run("together")
        mlflow.put(run, "decided/notes.md", b"# to be decided on\n")
        mlflow.made("registered-models/create", {"name": "decided"})
        source = {"source": f"{run['artifact_uri']}/decided", "run_id": run["run_id"]}
        mlflow.made("model-versions/create", {"name": "decided", **source})
        assert mlflow.checked("decided", 1)["status"] == "READY"
    with served.client("olga") as owner:
        assert owner.call("model.approve", name="decided", version=1)["state"] == "checked"

    def decide(number: int) -> Any:  # noqa: ANN401 # a version
        with served.client("emma") as engineer:
            verb = "model.approve" if number % 2 else "model.reject"
            return engineer.call(verb, name="decided", version=1)

    decided = at_once(6, decide)
    assert [isinstance(it, StrongroomError) for it in decided].count(False) == 1, decided
    with served.client("emma") as engineer:
        shown = engineer.call("model.show", name="decided", version=1)
    assert [it["decision"] for it in shown["decisions"]] == ["approval", shown["state"]]


def test_a_role_that_comes_and_goes_while_its_holder_reads(served: Served) -> None:
    served.person("walter", "Reader")
    over = threading.Event()

    def act(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        if number == 0:
            with served.client("olga") as owner:
                for _ in range(15):
                    owner.call(
                        "role.revoke", workspace=WORKSPACE, principal="walter", role="Reader"
                    )
                    owner.call(
                        "role.grant", workspace=WORKSPACE, principal="walter", role="Reader",
                        claim=served.claims["walter"],
                    )  # fmt: skip
                owner.call("role.revoke", workspace=WORKSPACE, principal="walter", role="Reader")
            over.set()
            return seen
        with served.client("walter") as reader:
            while not over.is_set():
                try:
                    reader.call("data.ls")
                    seen["allowed"] += 1
                except RefusedError:
                    seen["refused"] += 1
        return seen

    seen = sum(at_once(5, act), Counter[str]())
    assert seen["refused"]
    assert set(seen) <= {"allowed", "refused"}
    time.sleep(1.1)  # the setting `decision_cache_seconds`
    with served.client("walter") as reader:
        for _ in range(3):
            with pytest.raises(RefusedError):
                reader.call("data.ls")


def test_a_flood_is_limited_to_the_very_number(served: Served) -> None:
    served.person("flora", "Auditor")

    def call(_: int) -> list[str]:
        found = []
        with served.http(served.keys["flora"]) as http:
            for _ in range(4):
                answer = http.post(f"/api/v1/workspaces/{WORKSPACE}/log/verify", json={})
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    assert answer.json()["code"] == "refused.rate"
                    assert 1 <= int(answer.headers["Retry-After"]) <= 10
                else:
                    assert answer.status_code == httpx.codes.OK, answer.text
                found.append(str(answer.status_code))
        return found

    began = time.monotonic()
    statuses = Counter(status for found in at_once(6, call) for status in found)
    # Six a minute; a few more if this took long.
    allowed = 6 + int((time.monotonic() - began) / 10)
    assert 6 <= statuses["200"] <= allowed
    assert statuses["429"] == 24 - statuses["200"]
    # Others are not held up by it.
    with served.client("aldo") as auditor:
        auditor.call("audit.verify")
    with served.client("flora") as limited:
        with pytest.raises(RateLimitedError):
            limited.call("audit.verify")
        limited.call("data.ls")
        refused = limited.call("audit.search", outcome="refused", limit=500)["entries"]
    mine = [it for it in refused if it["operation"] == "audit.verify"]
    # One by one up to a rate, then counted into the next record.
    assert sum(1 + it["details"].get("unrecorded", 0) for it in mine) >= statuses["429"]
    assert {it["reason"].split(":")[0] for it in mine} == {"refused.rate"}


def test_two_keys_too_many(served: Served) -> None:
    served.person("keith")

    def make(_: int) -> Any:  # noqa: ANN401 # a key
        with served.client("keith") as client:
            return client.call("token.create", purpose="rotation")

    made = at_once(CALLERS, make)
    # Two of one purpose may be active; writers take turns, so not one more.
    assert [isinstance(it, StrongroomError) for it in made].count(False) == 2
    assert {it.code for it in made if isinstance(it, StrongroomError)} == {"state.invalid"}


def test_a_link_opens_one_session(served: Served) -> None:
    with served.client("olga") as client:
        link = client.call("link.create")["token"]

    def open_link(_: int) -> int:
        with served.http() as http:
            http.headers["Origin"] = served.url
            answer = http.post("/sign-in", data={"link": link}, follow_redirects=False)
            return int("set-cookie" in answer.headers)

    assert sum(at_once(CALLERS, open_link)) == 1
