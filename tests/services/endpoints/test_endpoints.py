"""Endpoints: only approved, verified models answer, and a failed load changes nothing."""

import json
import math
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from pydantic import BaseModel
from pydantic import ValidationError as PydanticError
from tests.gate.gatehouse import Gatehouse, gatehouse
from tests.services.endpoints.shelf import FEATURES, Shelf, X, classifier, full_shelf, guards_of

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SandboxError,
    StateError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import Outcome
from strongroom.gate.declaration import operations_of
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.types import (
    CreateEndpoint,
    DeployModel,
    EndpointReference,
    InvokeEndpoint,
    ListEndpoints,
    Range,
)
from strongroom.services.endpoints.watching import Watch
from strongroom.services.jobs.sandbox import Limits, OversteppedError
from strongroom.vault.database import Database

PLACE = {"workspace": "clinic", "endpoint": "triage"}


Json = Any  # what an operation gives, or takes as rows


class Room:
    """The room of endpoints with a real gate, and an ML engineer to ask."""

    def __init__(self, house: Gatehouse) -> None:
        self.house = house
        self.shelf: Shelf = full_shelf()
        self.runners = Runners(limits=Limits(memory_bytes=2 * 2**30))
        self.operations = EndpointOperations(self.shelf, self.runners, guards_of(house, self.shelf))
        self.engineer = house.person("eve", "ML Engineer")

    def __call__(self, name: str, request: BaseModel, principal: Principal | None = None) -> Json:
        bound = next(
            b for b in operations_of(self.operations) if b.declared.name == f"endpoint.{name}"
        )
        return self.house.gate.perform(bound, principal or self.engineer, request).result

    def create(self, **more: Json) -> Json:
        return self("create", CreateEndpoint.model_validate({**PLACE, **more}))

    def deploy(self, model: str = "tumour", version: int = 1, **more: Json) -> Json:
        request = {**PLACE, "model": model, "version": version, **more}
        return self("deploy", DeployModel.model_validate(request))

    def invoke(self, rows: Json, principal: Principal | None = None) -> Json:
        return self("invoke", InvokeEndpoint(**PLACE, rows=rows), principal)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    database = Database.create_for_tests(tmp_path / "test.db")
    with gatehouse(database) as house:
        house.workspace("clinic")
        room = Room(house)
        yield room
        room.runners.close()
    database.close()


def test_create_deploy_invoke(room: Room) -> None:
    created = room.create(decimals=3)
    assert (created.is_ready, created.live) == (False, None)
    with pytest.raises(UnavailableError, match="no model is deployed"):
        room.invoke(X[:1].tolist())
    deployed = room.deploy()
    assert (deployed.live.form, deployed.is_ready) == ("onnx", True)
    answer = room.invoke(X[:5].tolist())
    assert answer.predictions == classifier().predict(X[:5]).tolist()
    expected = classifier().predict_proba(X[:5]).round(3)
    assert abs(answer.probabilities - expected).max() <= 0.001 + 1e-9
    assert all(value == round(value, 3) for row in answer.probabilities for value in row)
    event = room.house.events()[-1]
    assert (event.operation, event.details["rows"]) == ("endpoint.invoke", 5)
    assert event.details["digest"] == f"{1:064x}"
    listed = room("ls", ListEndpoints(workspace="clinic")).endpoints
    assert [entry.name for entry in listed] == ["triage"]
    shown = room("show", EndpointReference(**PLACE))
    assert shown.live.version == 1
    assert re.search(r'"deployed_at":"20\d\d-\d\d-\d\dT[\d:.]+Z"', shown.model_dump_json())


@pytest.mark.parametrize(
    ("model", "version", "error"),
    [
        ("absent", 1, NotFoundError),
        ("tumour", 9, StateError),
        ("broken", 1, ValidationError),
        ("narrow", 1, ValidationError),
        ("dead", 1, SandboxError),
    ],
)
def test_a_failed_deployment_keeps_the_last_good_one(
    room: Room, model: str, version: int, error: type[StrongroomError]
) -> None:
    room.create()
    room.deploy()
    before = room.runners.get("clinic", "triage")
    with pytest.raises(error):
        room.deploy(model, version)
    assert room.runners.get("clinic", "triage") is before
    assert room("show", EndpointReference(**PLACE)).live.version == 1
    assert len(room.invoke(X[:1].tolist()).predictions) == 1
    failed = [event for event in room.house.events() if event.outcome != Outcome.ALLOWED]
    assert [event.operation for event in failed] == ["endpoint.deploy"]


def test_tampered_models_are_not_deployed(room: Room) -> None:
    room.create()
    room.shelf.error = TamperedError("the model's bytes are not those that were signed")
    with pytest.raises(TamperedError):
        room.deploy()
    assert room("show", EndpointReference(**PLACE)).live is None


def test_rollback_goes_back_one_and_verifies_again(room: Room) -> None:
    room.create()
    with pytest.raises(StateError, match="no earlier deployment"):
        room("rollback", EndpointReference(**PLACE))
    room.deploy(version=1)
    with pytest.raises(StateError, match="no earlier deployment"):
        room("rollback", EndpointReference(**PLACE))
    room.deploy(version=2)
    room.shelf.error = TamperedError("changed")
    with pytest.raises(TamperedError):
        room("rollback", EndpointReference(**PLACE))
    live = room.runners.get("clinic", "triage")
    assert live is not None
    assert live.servable.version == 2
    room.shelf.error = None
    assert room("rollback", EndpointReference(**PLACE)).live.version == 1
    assert room.invoke(X[:1].tolist()).version == 1


def test_a_confined_model_answers_words_and_numbers(room: Room) -> None:
    room.create(ranges={"age": Range(low=0, high=120)})
    assert room.deploy("ward").live.form == "confined"
    answer = room.invoke([[20, "a"], [60, "c"], [35, "never seen"]])
    assert answer.predictions[:2] == ["low", "high"]
    assert answer.classes == ["high", "low"]
    assert len(answer.probabilities) == 3
    live = room.runners.get("clinic", "triage")
    assert live is not None
    live.runner._worker._process.kill()  # type: ignore[attr-defined] # a confined one
    assert room.invoke([[20, "a"]]).predictions == ["low"]


def test_rows_count_towards_the_limit_of_the_endpoint(room: Room) -> None:
    room.create(rows_per_minute=10)
    room.deploy()
    room.invoke(X[:8].tolist())
    with pytest.raises(RateLimitedError):
        room.invoke(X[:8].tolist())
    room.invoke(X[:8].tolist(), room.house.person("bob", "ML Engineer"))


def looping_onnx() -> bytes:
    """As many steps as the largest value of a row says; any scan finds it harmless."""
    number, truth, whole = (onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL, onnx.TensorProto.INT64)
    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    body = onnx.helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Sin", ["x"], ["y"])], "body",
        [info("i", whole, []), info("go", truth, []), info("x", number, None)],
        [info("on", truth, []), info("y", number, None)],
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [
            node("ReduceMax", ["input"], ["most"], keepdims=0),
            node("Cast", ["most"], ["steps"], to=whole),
            node("Loop", ["steps", "true", "input"], ["end"], body=body),
            node("ReduceSum", ["end", "axis"], ["label"], keepdims=1),
        ],
        "graph",
        [info("input", number, [None, 2])], [info("label", number, [None, 1])],
        [onnx.helper.make_tensor("true", truth, [], [1]),
         onnx.helper.make_tensor("axis", whole, [1], [1])],
    )  # fmt: skip
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_model_that_came_as_onnx_runs_confined_and_within_limits(room: Room) -> None:
    servable = room.shelf.models["ward", 1]
    room.shelf.put(
        replace(
            servable, model="loop", features=("a", "b"), feature_types=("FP32", "FP32"),
            classes=(), files={"model.onnx": looping_onnx()},
        )
    )  # fmt: skip
    room.runners = Runners(limits=Limits(memory_bytes=2 * 2**30), request_seconds=1.0)
    room.operations = EndpointOperations(
        room.shelf, room.runners, guards_of(room.house, room.shelf)
    )
    room.create()
    assert room.deploy("loop").live.form == "confined"
    expected = [math.sin(1.0) + math.sin(0.5)]
    assert room.invoke([[1.0, 0.5]]).predictions == pytest.approx(expected, abs=1e-3)
    began = time.monotonic()
    with pytest.raises(SandboxError):
        room.invoke([[1.0, 1e9]])
    assert time.monotonic() - began < 5
    assert room.invoke([[1.0, 0.5]]).predictions == pytest.approx(expected, abs=1e-3)

    # Many at once: a few wait their turn, the others are told at once; none sees a fault of ours.
    with ThreadPoolExecutor(12) as threads:
        began = time.monotonic()
        asked = [threads.submit(room.invoke, [[1.0, 1e9]]) for _ in range(12)]
        failures = [future.exception() for future in asked]
    assert {type(failure) for failure in failures} == {OversteppedError, UnavailableError}
    assert sum(type(failure) is UnavailableError for failure in failures) >= 6
    assert room.invoke([[1.0, 0.5]]).predictions == pytest.approx(expected, abs=1e-3)


def test_a_regressor_answers_numbers(room: Room) -> None:
    room.create(decimals=1)
    room.deploy("radius")
    answer = room.invoke(X[:3].tolist())
    assert answer.probabilities is None
    assert answer.predictions == pytest.approx(X[:3, 0], abs=0.3)
    assert all(value == round(value, 1) for value in answer.predictions)


@pytest.mark.parametrize(
    ("rows", "message", "error"),
    [
        ([[1.0] * 29], "30 values", ValidationError),
        ([[1.0] * 30, [1.0]], "30 values", ValidationError),
        ([["1"] + [1.0] * 29], "must be a number", ValidationError),
        ([[float("nan")] + [1.0] * 29], "finite", ValidationError),
        ([[float("inf")] + [1.0] * 29], "finite", ValidationError),
        ([[1.0, 1e39] + [1.0] * 28], "`mean texture` is not a finite", ValidationError),
        ([[-1.0] + [1.0] * 29], "`mean radius` is outside", ValidationError),
        ([[1.0] * 30] * 11, "more than this endpoint's 10", TooLargeError),
    ],
)
def test_bad_rows_are_refused_before_the_model(
    room: Room, rows: Json, message: str, error: type[StrongroomError]
) -> None:
    room.create(max_rows=10, ranges={"mean radius": Range(low=0)})
    room.deploy()
    with pytest.raises(error, match=message):
        room.invoke(rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([20, 5], "`ward` must be text"),
        (["20", "a"], "`age` must be a number"),
        ([float("nan"), "a"], "`age` is not a finite"),
        ([121, "a"], "`age` is outside"),
        ([20, "a" * 10_001], "`ward` must be text"),
    ],
)
def test_bad_values_of_columns_are_refused(room: Room, row: Json, message: str) -> None:
    room.create(ranges={"age": Range(high=120)})
    room.deploy("ward")
    with pytest.raises(ValidationError, match=message):
        room.invoke([row])


def test_ranges_must_name_features(room: Room) -> None:
    room.create(ranges={"shoe size": Range(low=0)})
    with pytest.raises(ValidationError, match="no feature `shoe size`"):
        room.deploy()
    with pytest.raises(PydanticError):
        Range(low=2, high=1)
    with pytest.raises(PydanticError):
        Range(low=float("nan"))


def test_roles(room: Room) -> None:
    room.create()
    room.deploy()
    reader = room.house.person("rita", "Reader")
    with pytest.raises(RefusedError):
        room.invoke(X[:1].tolist(), reader)
    request = DeployModel.model_validate({**PLACE, "model": "tumour", "version": 2})
    with pytest.raises(RefusedError):
        room("deploy", request, reader)
    stranger = room.house.person("sam", "Owner", workspace="elsewhere")
    with pytest.raises(RefusedError):
        room("show", EndpointReference(**PLACE), stranger)


def test_names_are_taken_once_and_found_in_their_workspace_only(room: Room) -> None:
    room.create()
    with pytest.raises(ConflictError):
        room.create()
    room.house.grant(room.engineer, "ML Engineer", "other")
    with pytest.raises(NotFoundError):
        room("show", EndpointReference(workspace="other", endpoint="triage"))
    for name in ("", "UPPER", "a/b", "..", "a" * 64, "-a"):
        with pytest.raises(PydanticError):
            CreateEndpoint(workspace="clinic", endpoint=name)


def test_delete(room: Room) -> None:
    room.create()
    room.deploy()
    room("delete", EndpointReference(**PLACE))
    assert room.runners.get("clinic", "triage") is None
    with pytest.raises(NotFoundError):
        room("show", EndpointReference(**PLACE))
    room.create()


def test_a_new_server_loads_what_was_deployed(room: Room) -> None:
    room.create()
    room.deploy()
    again = Runners()
    operations = EndpointOperations(room.shelf, again, guards_of(room.house, room.shelf))
    assert operations.restore(room.house.database) == 1
    assert again.get("clinic", "triage") is not None
    again.close()


def test_a_new_server_does_not_load_what_has_changed(room: Room) -> None:
    room.create()
    room.deploy()
    runners = Runners()
    operations = EndpointOperations(room.shelf, runners, guards_of(room.house, room.shelf))
    room.shelf.put(room.shelf.models["tumour", 2].__class__(
        model="tumour", version=1, digest="f" * 64, onnx=room.shelf.models["tumour", 1].onnx,
        features=FEATURES, feature_types=("FP32",) * 30, classes=("0", "1"),
    ))  # fmt: skip  # a swapped model
    assert operations.restore(room.house.database) == 0
    assert runners.get("clinic", "triage") is None
    assert runners.fault("clinic", "triage").startswith("integrity.broken")
    room.shelf.error = TamperedError("changed")
    assert operations.restore(room.house.database) == 0


def test_the_former_version_answers_in_place_of_a_changed_one_where_the_rules_say_so(
    room: Room,
) -> None:
    room.create()
    room.deploy()
    room.deploy(version=2)
    changed = TamperedError("the file `model.onnx` is not what was signed")
    room.shelf.broken["tumour", 2] = changed
    runners = Runners()
    operations = EndpointOperations(room.shelf, runners, guards_of(room.house, room.shelf))
    # What was loaded before goes on with the bytes that were verified then.
    assert room.invoke(X[:1].tolist()).version == 2
    assert operations.restore(room.house.database) == 0
    assert runners.get("clinic", "triage") is None

    room.shelf.may_fall_back = True
    assert operations.restore(room.house.database) == 1
    live = runners.get("clinic", "triage")
    assert live is not None
    assert live.servable.version == 1
    fault = runners.fault("clinic", "triage")
    assert fault.startswith("integrity.broken")
    assert fault.endswith("version 1 answers in its place")
    # It is looked after like any other: once it may not answer, nothing does.
    watching = Watch(operations, room.shelf, runners, room.house.database)
    watching.look()
    watching.look()
    assert runners.get("clinic", "triage") is live
    room.shelf.fallen["clinic", "tumour", 1] = StateError("it is retired, not approved")
    watching.look()
    assert runners.get("clinic", "triage") is None

    room.shelf.fallen.clear()
    room.shelf.broken["tumour", 1] = changed
    again = Runners()
    assert (
        EndpointOperations(room.shelf, again, guards_of(room.house, room.shelf)).restore(
            room.house.database
        )
        == 0
    )
    runners.close()


def test_a_request_longer_than_its_rows_can_be_is_not_read(room: Room) -> None:
    room.create(max_rows=10)
    room.deploy()
    live = room.runners.get("clinic", "triage")
    assert live is not None
    honest = json.dumps({"records": [dict(zip(FEATURES, X[0].tolist(), strict=True))] * 10})
    assert len(honest) < live.schema.most_bytes < 1_000_000
