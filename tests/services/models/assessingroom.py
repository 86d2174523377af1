"""The rooms of datasets, models and assessments over one house, with a model and its rows."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pyarrow.csv
from sklearn.tree import DecisionTreeClassifier
from tests.engines.privacy.dp.training.people import people
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.types import JobState
from strongroom.services.models.assessing_operations import AssessingOperations
from strongroom.services.models.assessing_types import Assessment, AssessModel
from strongroom.services.models.hardening_operations import HardeningOperations
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelFile, Provenance
from strongroom.settings import Settings

PLAN = """\
version = 1
name = "{kind}"
tests = ["membership.loss"]
[columns]
label = "rich"
groups = ["town"]
[[gates]]
test = "membership.loss"
measure = "AUC"
at_most = {most}
"""
_ROWS = 400


@dataclass
class AssessingRoom:
    """Datasets, models and assessments over one house."""

    data: DataRoom
    models: ModelOperations
    room: AssessingOperations
    hardening: HardeningOperations
    jobs: Jobs
    engineer: Principal

    def call(self, by: Principal, name: str, request: Any, body: str | None = None) -> Any:  # noqa: ANN401 # each its own
        """An operation of any of the rooms."""
        bound = next(
            b
            for room in (self.room, self.hardening, self.models)
            for b in operations_of(room)
            if b.declared.name == name
        )
        content = None if body is None else iter([body.encode()])
        return self.data.house.gate.perform(bound, by, request, body=content).result

    def register(self, seed: int = 1) -> str:
        """A version that learned its rows by heart; its id, once it is checked."""
        rows = people(_ROWS, seed).to_pandas()
        tree = DecisionTreeClassifier(random_state=0).fit(rows[["age", "wealth"]], rows["rich"])
        content = io.BytesIO()
        joblib.dump(tree, content)
        blobs, database = self.data.blobs, self.data.house.database
        with (
            blobs.put("clinic", "artifact", [content.getvalue()]) as staged,
            database.write() as session,
        ):
            files = [ModelFile("model.joblib", blobs.commit(session, staged).id)]
            entry = self.models.register(
                session, workspace="clinic", model="rich", version=seed, files=files,
                provenance=Provenance(), actor=self.data.owner.id,
            )  # fmt: skip
        with database.read() as session:
            job = session.get_one(ModelEntryRow, entry).job
        assert self.jobs.wait(job, 120).state is JobState.DONE
        return entry

    def assess(self, **fields: str | int) -> Assessment:
        """Ask for an assessment, as the engineer."""
        return self.assess_as(self.engineer, **fields)

    def assess_as(self, by: Principal, **fields: str | int) -> Assessment:
        """Ask for an assessment, as if a while after the last: ten a minute are let through."""
        self.data.house.gate._buckets._buckets.clear()
        request = AssessModel.model_validate({
            "workspace": "clinic", "name": "rich", "version": 1, "dataset": "patients",
            "held_out": "others", **fields,
        })  # fmt: skip
        found = self.call(by, "model.assess", request)
        assert isinstance(found, Assessment)
        return found


@contextmanager
def assessingroom(folder: Path) -> Iterator[AssessingRoom]:
    """Two datasets, and one version of a model that was trained on the first."""
    with dataroom(folder) as data:
        house = data.house
        settings = Settings(home=folder)
        jobs = Jobs(house.database)
        with house.database.write() as session:
            house.keyring.create_workspace_key(session, "system")
        models = ModelOperations(
            house.database, data.blobs, house.keyring, jobs, house.log, settings
        )
        models.start()
        room = AssessingOperations(
            house.database, data.blobs, house.keyring, jobs, house.log, settings, clock=house.clock
        )
        hardening = HardeningOperations(
            house.database, data.blobs, house.keyring, jobs, house.log, settings, clock=house.clock
        )
        for name, seed in (("patients", 1), ("others", 2)):
            content = io.BytesIO()
            pyarrow.csv.write_csv(people(_ROWS, seed), content)
            data.add(content.getvalue(), name=name, subject_column="person")
        jobs.start()
        try:
            built = AssessingRoom(
                data, models, room, hardening, jobs, house.person("max", "ML Engineer")
            )
            built.register()
            yield built
        finally:
            jobs.stop()
