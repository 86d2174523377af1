"""The rooms of datasets, models and training over one house, with people and their budget."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.csv
from tests.engines.privacy.dp.training.people import people
from tests.services.data.budgetroom import account, set_budget
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.types import JobState
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.training_operations import TrainingOperations
from strongroom.services.models.training_types import TrainingAnswer, TrainModel
from strongroom.services.models.types import ModelDetail, ModelReference
from strongroom.settings import Settings

DOMAIN = """
[target]
name = "rich"
values = ["no", "yes"]

[columns.age]
low = 18
high = 90

[columns.wealth]
low = 0
high = 1e6

[columns.town]
values = ["north", "south", "east"]
"""


@dataclass
class TrainingRoom:
    """Datasets, models and training over one house."""

    data: DataRoom
    models: ModelOperations
    room: TrainingOperations
    jobs: Jobs
    scientist: Principal

    def train(
        self, *, by: Principal | None = None, domain: str = DOMAIN, **fields: object
    ) -> TrainingAnswer:
        request = TrainModel.model_validate({
            "workspace": "clinic", "name": "rich", "dataset": "patients", "epsilon": 1.0,
            "purpose": "research", **fields,
        })  # fmt: skip
        bound = next(b for b in operations_of(self.room) if b.declared.name == "model.train")
        found = self.data.house.gate.perform(
            bound, by or self.scientist, request, body=iter([domain.encode()])
        ).result
        assert isinstance(found, TrainingAnswer)
        return found

    def of_models(self, by: Principal, name: str, request: Any) -> Any:  # noqa: ANN401 # each its own
        bound = next(b for b in operations_of(self.models) if b.declared.name == name)
        return self.data.house.gate.perform(bound, by, request).result

    def show(self, version: int = 1) -> ModelDetail:
        request = ModelReference(workspace="clinic", name="rich", version=version)
        shown = self.of_models(self.scientist, "model.show", request)
        assert isinstance(shown, ModelDetail)
        return shown

    def finished(self, job: str) -> Any:  # noqa: ANN401 # what the job gave
        status = self.jobs.wait(job, 120)
        assert status.state is JobState.DONE, status
        return status.result

    def checked(self, entry: str) -> None:
        with self.data.house.database.read() as session:
            job = session.get_one(ModelEntryRow, entry).job
        self.finished(job)

    def spends(self) -> int:
        return len(account(self.data, unit="person").spends)


@contextmanager
def trainingroom(
    folder: Path,
    *,
    url: str = "",
    who: str = "dana",
    start_jobs: bool = True,
    guards: str = "none",
) -> Iterator[TrainingRoom]:
    """A dataset of people with a budget of 2; over what is in `folder`, or an empty one at `url`.

    Args:
        who: name of the scientist; another one each time that a folder is opened again.
        guards: `fitted` or `none`; fitting one takes longer than training.
    """
    is_new = bool(url) or not (folder / "data.db").exists()
    with dataroom(folder, url=url, owner=f"olga-{who}") as data:
        house = data.house
        settings = Settings(home=folder, guards_of_trained=guards)
        jobs = Jobs(house.database)
        if is_new:
            with house.database.write() as session:
                house.keyring.create_workspace_key(session, "system")
        models = ModelOperations(
            house.database, data.blobs, house.keyring, jobs, house.log, settings
        )
        models.start()
        built = TrainingOperations(
            data.blobs, house.keyring, jobs, house.log, settings, clock=house.clock
        )
        if is_new:
            content = io.BytesIO()
            pyarrow.csv.write_csv(people(3_000), content)
            data.add(content.getvalue(), subject_column="person")
            set_budget(data, data.owner, 2.0)
        if start_jobs:
            jobs.start()
        try:
            yield TrainingRoom(data, models, built, jobs, house.person(who, "Data Scientist"))
        finally:
            jobs.stop()
