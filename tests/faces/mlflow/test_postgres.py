"""The stores on PostgreSQL: MLflow's tables in a schema of their own, one transaction with ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.orm import Session
from tests.faces.mlflow.ward import SimulatedChecks, Ward
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.errors import UnavailableError
from strongroom.faces.mlflow.caller import Caller, calling
from strongroom.faces.mlflow.places import parse_uri
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import Event
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Base, Database


@pytest.fixture(scope="module")
def elsewhere(ward: Ward, postgres_server_url: str) -> Iterator[Gatehouse]:
    """A gate over a new database on PostgreSQL."""
    url = make_url(postgres_server_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE mlflow_face"))
    engine.dispose()
    own = make_url(postgres_server_url).set(database="mlflow_face")
    database = Database.open(own.render_as_string(hide_password=False))
    with database.write() as session:
        Base.metadata.create_all(session.connection())
    with gatehouse(database) as house:
        house.workspace("clinic")
        with database.write() as session:
            house.keyring.create_workspace_key(session, "clinic")
        yield house
    database.close()


@pytest.fixture(scope="module")
def stores(elsewhere: Gatehouse, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Tracking and registry store over it."""
    from strongroom.faces.mlflow.artifacts import ArtifactShelf
    from strongroom.faces.mlflow.house import House
    from strongroom.faces.mlflow.registry import RegistryStore
    from strongroom.faces.mlflow.schema import prepare
    from strongroom.faces.mlflow.tracking import TrackingStore
    from strongroom.faces.mlflow.workspaces import WorkspaceStore

    prepare(elsewhere.database)
    prepare(elsewhere.database)
    blobs = BlobStore(tmp_path_factory.mktemp("blobs"), elsewhere.keyring, elsewhere.database)
    checks = SimulatedChecks(blobs)
    shelf = ArtifactShelf(elsewhere.gate, blobs, checks)
    house = House(elsewhere.database, elsewhere.gate, elsewhere.grants, shelf, checks)
    house.workspace_store = WorkspaceStore(house)
    house.tracking_store = TrackingStore(house)
    house.registry_store = RegistryStore(house)
    return house.tracking_store, house.registry_store


@pytest.fixture(scope="module")
def pia(elsewhere: Gatehouse) -> Principal:
    return elsewhere.person("Pia", "Data Scientist")


def test_the_tables_lie_in_a_schema_of_their_own(
    elsewhere: Gatehouse, stores: tuple[Any, Any]
) -> None:
    assert stores
    with elsewhere.database.read() as session:
        look = inspect(session.connection())
        theirs, ours = set(look.get_table_names("mlflow")), set(look.get_table_names("public"))
    assert {"runs", "model_versions", "alembic_version"} <= theirs
    assert "artifacts" in ours
    assert not theirs & ours


def test_experiments_runs_and_models_work(
    elsewhere: Gatehouse, stores: tuple[Any, Any], pia: Principal
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    tracking, registry = stores
    with calling(Caller(pia, "clinic", "r")):
        experiment = tracking.create_experiment("biopsies")
        run = tracking.create_run(experiment, "mallory", 1, [], "first")
        assert run.info.user_id == "Pia"
        tracking.log_batch(
            run.info.run_id, [Metric("auc", 0.9, 1, 0)], [Param("depth", "3")], [RunTag("a", "b")]
        )
        assert tracking.get_run(run.info.run_id).data.metrics == {"auc": 0.9}
        assert len(tracking.search_runs([experiment], "metrics.auc > 0.5", 1)) == 1
        assert len(tracking.search_experiments(filter_string="name LIKE 'bio%'")) == 1
        assert len(tracking.search_experiments(filter_string="name LIKE 'BIO%'")) == 0
        place, _ = parse_uri(run.info.artifact_uri)
        shelf = tracking.house.shelf
        shelf.put(Caller(pia, "clinic", "r"), place, "model/m.bin", [b"good"], None)
        registry.create_registered_model("tumour")
        source = f"{run.info.artifact_uri}/model"
        made = registry.create_model_version("tumour", source, run.info.run_id)
        assert made.status == "PENDING_REGISTRATION"
        assert registry.get_model_version("tumour", 1).status == "READY"
        with shelf.open(Caller(pia, "clinic", "r"), place, "model/m.bin") as reader:
            assert reader.read(0, 10) == b"good"
        assert [it.name for it in registry.search_registered_models()] == ["tumour"]
    recorded = [it.operation for it in elsewhere.events()]
    assert "mlflow.log_batch" in recorded
    assert "mlflow.search_registered_models" in recorded


def test_change_and_record_are_one_transaction(
    elsewhere: Gatehouse,
    stores: tuple[Any, Any],
    pia: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.exceptions import MlflowException

    tracking, _ = stores
    append = elsewhere.log.append

    def full(session: Session, event: Event) -> object:
        if event.operation == "mlflow.create_experiment":
            raise UnavailableError("no room for the record")
        return append(session, event)

    monkeypatch.setattr(elsewhere.log, "append", full)
    with calling(Caller(pia, "clinic", "r")):
        with pytest.raises(MlflowException):
            tracking.create_experiment("unrecorded")
        monkeypatch.undo()
        assert tracking.get_experiment_by_name("unrecorded") is None
