"""Default deny over the stores, and one transaction for a change and its record."""

import inspect
import threading
from collections.abc import Callable

import pytest
from tests.faces.mlflow.ward import Ward

from strongroom.errors import UnavailableError
from strongroom.faces.mlflow.caller import Caller, calling
from strongroom.gate.access.types import ANONYMOUS, Principal
from strongroom.gate.audit.types import Event, Outcome


def stores() -> list[object]:
    from strongroom.faces.mlflow.house import mounted

    house = mounted()
    return [house.tracking_store, house.registry_store]


def harmless() -> frozenset[str]:
    from strongroom.faces.mlflow import registry_rules, tracking_rules

    return tracking_rules.HARMLESS | registry_rules.HARMLESS


def caller(principal: Principal, workspace: str = "clinic") -> Caller:
    return Caller(principal, workspace, "request")


def test_every_public_method_has_a_rule_or_refuses(ward: Ward) -> None:
    from strongroom.faces.mlflow.guard import public_methods

    counted = 0
    for store in stores():
        for name in public_methods(type(store)):
            method = getattr(type(store), name)
            ruled = hasattr(method, "__strongroom_rule__")
            refusing = hasattr(method, "__strongroom_refuses__")
            assert ruled + refusing + (name in harmless()) == 1, name
            counted += 1
    assert counted > 200


def test_no_rule_is_stale(ward: Ward) -> None:
    from strongroom.faces.mlflow import registry_rules, tracking_rules

    tracking, registry = stores()
    for store, rules in ((tracking, tracking_rules.RULES), (registry, registry_rules.RULES)):
        for name in rules:
            assert hasattr(getattr(type(store), name), "__strongroom_rule__"), name
    for name in tracking_rules.HARMLESS:
        assert hasattr(tracking, name)


def test_each_method_without_a_rule_refuses_and_is_recorded(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    from strongroom.faces.mlflow.guard import public_methods

    for store in stores():
        for name in public_methods(type(store)):
            method = getattr(store, name)
            if not hasattr(method, "__strongroom_refuses__"):
                continue
            with calling(caller(ward.people["alice"])), pytest.raises(MlflowException) as refusal:
                method()
            assert refusal.value.error_code == "ENDPOINT_NOT_FOUND", name
    assert ward.events()[-1].operation == "undeclared"


def test_nobody_is_denied_by_every_rule(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    for store in stores():
        for name in dir(store):
            method = getattr(type(store), name, None)
            if method is None or not hasattr(method, "__strongroom_rule__"):
                continue
            arguments = [None] * (len(inspect.signature(method).parameters) - 1)
            with pytest.raises(MlflowException) as refusal:
                getattr(store, name)(*arguments)
            assert refusal.value.error_code == "UNAUTHENTICATED", name


def test_an_anonymous_caller_is_denied_and_recorded(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    tracking, _ = stores()
    with calling(caller(ANONYMOUS)), pytest.raises(MlflowException) as refusal:
        tracking.search_experiments()  # type: ignore[attr-defined] # MLflow's
    assert refusal.value.error_code == "UNAUTHENTICATED"
    assert ward.events()[-1].outcome is Outcome.REFUSED


def test_the_database_is_out_of_reach_without_an_admitted_call(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    for store in stores():
        with (
            calling(caller(ward.people["alice"])),
            pytest.raises(MlflowException, match="nobody is signed in"),
            store.ManagedSessionMaker(),  # type: ignore[attr-defined] # MLflow's
        ):
            pass


def test_a_thread_of_mlflows_own_has_no_caller(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    tracking, _ = stores()
    met: list[BaseException] = []

    def work() -> None:
        try:
            tracking.search_experiments()  # type: ignore[attr-defined] # MLflow's
        except MlflowException as error:
            met.append(error)

    with calling(caller(ward.people["alice"])):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(met) == 1


def test_a_reading_call_cannot_write(ward: Ward) -> None:
    from mlflow.exceptions import MlflowException

    from strongroom.faces.mlflow.caller import OpenCall, opened

    tracking, _ = stores()
    with ward.house.database.read() as session:
        call = OpenCall(caller(ward.people["alice"]), None, session, writes=False)
        with opened(call), pytest.raises(MlflowException, match="only read"):
            tracking.create_experiment("by the back door")  # type: ignore[attr-defined] # MLflow's


def test_change_and_record_are_one_transaction(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the record cannot be written, MLflow's change is gone too, all of its sessions."""
    experiment = ward.experiment("alice", "one transaction")
    run = ward.run("alice", experiment)
    append: Callable[..., object] = ward.house.log.append

    def full(session: object, event: Event) -> object:
        if event.operation == "mlflow.log_batch":
            raise UnavailableError("no room for the record")
        return append(session, event)

    batch = {
        "run_id": run["run_id"],
        "metrics": [{"key": "m", "value": 1.0, "timestamp": 1, "step": 0}],
        "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}],
    }
    monkeypatch.setattr(ward.house.log, "append", full)
    assert ward.rpc("alice", "runs/log-batch", batch).status_code == 400
    monkeypatch.undo()
    failed = ward.events()[-1]
    assert (failed.operation, failed.outcome) == ("mlflow.log_batch", Outcome.FAILED)
    answer = ward.call(
        "alice", "GET", "/api/2.0/mlflow/runs/get", params={"run_id": run["run_id"]}
    ).json()
    data = answer["run"]["data"]
    assert "metrics" not in data
    assert "params" not in data
    assert ward.rpc("alice", "runs/log-batch", batch).status_code == 200
    recorded = ward.events()[-1]
    assert (recorded.operation, recorded.outcome) == ("mlflow.log_batch", Outcome.ALLOWED)
    assert recorded.resource == f"clinic/{experiment}"
    assert recorded.actor == ward.people["alice"].id


def test_a_failed_call_is_recorded_with_its_code_only(ward: Ward) -> None:
    ward.experiment("alice", "twice")
    answer = ward.rpc("alice", "experiments/create", {"name": "twice"})
    assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    last = ward.events()[-1]
    assert last.outcome is Outcome.FAILED
    assert last.reason == "mlflow: RESOURCE_ALREADY_EXISTS"


def test_reads_are_recorded(ward: Ward) -> None:
    experiment = ward.experiment("alice", "read")
    ward.call(
        "alice", "GET", "/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment}
    )
    last = ward.events()[-1]
    assert (last.operation, last.action) == ("mlflow.get_experiment", "readExperiment")
    assert last.resource == f"clinic/{experiment}"


def test_what_a_caller_sends_as_an_id_does_not_get_into_the_log(ward: Ward) -> None:
    ward.call(
        "alice",
        "GET",
        "/api/2.0/mlflow/experiments/get",
        params={"experiment_id": "Jane Doe, born 1970"},
    )
    assert all("Jane" not in event.resource for event in ward.events())
    assert ward.events()[-1].resource == "clinic/unknown"


def test_the_list_of_reserved_tables_is_that_of_the_installed_mlflow(ward: Ward) -> None:
    from mlflow.store.db.base_sql_model import Base as MlflowBase
    from sqlalchemy import inspect as look

    from strongroom.vault.database import Base
    from strongroom.vault.reserved import RESERVED_TABLES

    theirs = set(MlflowBase.metadata.tables)
    assert theirs | {"alembic_version"} == set(RESERVED_TABLES)
    assert not theirs & set(Base.metadata.tables)
    with ward.house.database.read() as session:
        there = set(look(session.connection()).get_table_names())
    assert there - RESERVED_TABLES <= set(Base.metadata.tables)
