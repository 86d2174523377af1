"""The room of models over a real gate, database, blob folder and job queue."""

import io
import pickle
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.engines.privacy.dp.training.domain import Choice
from strongroom.engines.privacy.dp.training.model import AdditiveModel, Term
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.types import JobState
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelFile, ModelReference, Provenance
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.trash import FOLDER as TRASH

MLMODEL = b"""flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.pkl
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: pickle
"""


@cache
def _honest_model() -> object:
    """A model of scikit-learn, which whoever needs none does not load."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(x, y)


@cache
def honest_pickle() -> bytes:
    return pickle.dumps(_honest_model())


@cache
def honest_joblib() -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(_honest_model(), buffer)
    return buffer.getvalue()


_ADDITIVE = AdditiveModel(
    0.25, (Term("age", (-1.0, 0.5, 2.0, -0.25), cuts=(20.0, 40.0)),), Choice("ill", ("no", "yes"))
)
# A model that is converted in the sandbox like any other, but without scikit-learn, which takes
# seconds to load.
CONVERTED = {"model.additive.json": _ADDITIVE.to_json().encode(), "notes.md": b"# additive\n"}
# A model of a kind that is not converted: its checks take no time.
PLAIN = {"notes.md": b"# a model of another kind\n"}
HOSTILE = b"cos\nsystem\n(S'touch /tmp/fired'\ntR."
UNKNOWN = b"\x80\x04\x8c\x06clinic\x8c\x05Model\x93)\x81}b."


def mlflow_folder(model: bytes) -> dict[str, bytes]:
    return {"MLmodel": MLMODEL, "model.pkl": model}


@dataclass
class ModelRoom:
    """What the tests of models work with."""

    house: Gatehouse
    blobs: BlobStore
    jobs: Jobs
    room: ModelOperations
    folder: Path
    scientist: Principal
    engineer: Principal

    def call(self, principal: Principal, name: str, request: BaseModel) -> Any:  # noqa: ANN401 # each has its own
        """Perform an operation of this room through the gate; what it gave."""
        bound = next(b for b in operations_of(self.room) if b.declared.name == name)
        return self.house.gate.perform(bound, principal, request).result

    def seal(self, files: Mapping[str, bytes], workspace: str = "clinic") -> list[ModelFile]:
        """Put files into the blob store, as the MLflow face does before it registers."""
        sealed = []
        for path, data in files.items():
            with (
                self.blobs.put(workspace, "artifact", [data]) as staged,
                self.house.database.write() as session,
            ):
                sealed.append(ModelFile(path, self.blobs.commit(session, staged).id))
        return sealed

    def register(
        self,
        files: Mapping[str, bytes],
        model: str = "iris",
        version: int = 1,
        provenance: Provenance | None = None,
    ) -> str:
        """Register a version; its checks are queued."""
        return self.register_sealed(self.seal(files), model, version, provenance)

    def register_sealed(
        self,
        sealed: list[ModelFile],
        model: str = "iris",
        version: int = 1,
        provenance: Provenance | None = None,
        actor: Principal | None = None,
    ) -> str:
        """Register files that are sealed already, as the scientist or as `actor`."""
        with self.house.database.write() as session:
            return self.room.register(
                session,
                workspace="clinic",
                model=model,
                version=version,
                files=sealed,
                provenance=provenance or Provenance(),
                actor=(actor or self.scientist).id,
            )

    def wait(self, entry: str) -> ModelEntryRow:
        """The row once its checks are over."""
        with self.house.database.read() as session:
            job = session.get_one(ModelEntryRow, entry).job
        assert self.jobs.wait(job, 240).state is JobState.DONE
        return self.row(entry)

    def row(self, entry: str) -> ModelEntryRow:
        with self.house.database.read() as session:
            return session.get_one(ModelEntryRow, entry)

    def checked(self, files: Mapping[str, bytes], model: str = "iris") -> ModelEntryRow:
        return self.wait(self.register(files, model))

    def file_of(self, blob: str) -> Path:
        """Where the sealed bytes of a blob lie."""
        return next(path for path in self.folder.rglob(f"*{blob}*") if path.is_file())

    def stored(self) -> list[Path]:
        """Every file of the blob store, but for those that a sweep threw away."""
        return [
            path for path in self.folder.rglob("*") if path.is_file() and path.parent.name != TRASH
        ]

    def operations(self) -> list[tuple[str, str]]:
        """Name and outcome of all that was recorded."""
        return [(event.operation, event.outcome.value) for event in self.house.events()]


def reference(model: str = "iris", version: int = 1) -> ModelReference:
    return ModelReference(workspace="clinic", name=model, version=version)


@contextmanager
def modelroom(
    folder: Path,
    *,
    start_jobs: bool = True,
    database_url: str = "",
    settings: Settings | None = None,
) -> Iterator[ModelRoom]:
    """A room over the database in `folder`, or over a new one elsewhere."""
    is_new = not (folder / "models.db").exists()
    if database_url:
        database = Database.open(database_url)
        database.migrate()
    else:
        database = Database.create_for_tests(folder / "models.db")
    with gatehouse(database) as house:
        blobs = BlobStore(folder / "blobs", house.keyring, database)
        if is_new:
            with database.write() as session:
                house.keyring.create_workspace_key(session, "system")
            for workspace in ("clinic", "other"):
                house.workspace(workspace)
                with database.write() as session:
                    house.keyring.create_workspace_key(session, workspace)
        jobs = Jobs(database)
        room = ModelOperations(
            database, blobs, house.keyring, jobs, house.log, settings or Settings(home=folder)
        )
        room.start()
        suffix = "" if is_new else f" {secrets.token_hex(4)}"
        built = ModelRoom(
            house,
            blobs,
            jobs,
            room,
            folder / "blobs",
            house.person(f"dana{suffix}", "Data Scientist"),
            house.person(f"max{suffix}", "ML Engineer"),
        )
        if start_jobs:
            jobs.start()
        try:
            yield built
        finally:
            jobs.stop()
    database.close()
