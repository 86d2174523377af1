"""The rooms of datasets and of their assessments over one house, with rows that bear poison."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from tests.engines.privacy.dp.training.people import people
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing_operations import AssessingOperations
from strongroom.services.models.assessing_types import SetPlan
from strongroom.services.models.dataset_assessing_operations import DatasetAssessingOperations
from strongroom.services.models.dataset_assessing_types import (
    AssessDataset,
    DatasetAssessment,
    ListDatasetAssessments,
)
from strongroom.services.models.statements import ModelKeys
from strongroom.settings import Settings

ROWS, TURNED = 300, 6
PLAN = """\
version = 1
name = "copies"
tests = ["poisoning.duplicates"]
[[gates]]
test = "poisoning.duplicates"
measure = "contradicted share"
at_most = 0.0
"""


def poisoned() -> tuple[pa.Table, set[int]]:
    """People, some of them twice and the second time with the other label; numbers of such rows."""
    table = people(ROWS, 3).drop_columns(["income"])
    again = table.slice(0, TURNED)
    turned = ["no" if one == "yes" else "yes" for one in again.column("rich").to_pylist()]
    again = again.set_column(again.column_names.index("rich"), "rich", pa.array(turned))
    brought = pa.array(["north lab", "south lab", "Dr Grim"] * (ROWS // 3) + ["Dr Grim"] * TURNED)
    whole = pa.concat_tables([table, again]).append_column("uploader", brought)
    return whole, {*range(1, TURNED + 1), *range(ROWS + 1, ROWS + TURNED + 1)}


@dataclass
class SearchingRoom:
    """Datasets and assessments of them over one house."""

    data: DataRoom
    room: DatasetAssessingOperations
    plans: AssessingOperations
    jobs: Jobs
    turned: set[int]

    def call(self, by: Principal, name: str, request: Any, body: str | None = None) -> Any:  # noqa: ANN401 # each its own
        """An operation of any of the rooms, as if a while after the last."""
        self.data.house.gate._buckets._buckets.clear()
        bound = next(
            b
            for room in (self.room, self.plans, self.data.room)
            for b in operations_of(room)
            if b.declared.name == name
        )
        content = None if body is None else iter([body.encode()])
        return self.data.house.gate.perform(bound, by, request, body=content).result

    def assess(self, by: Principal | None = None, **fields: object) -> DatasetAssessment:
        """Ask for one, of copies where nothing else is said."""
        request = AssessDataset.model_validate({
            "workspace": "clinic", "name": "patients", "kind": "copies", "label": "rich", **fields,
        })  # fmt: skip
        found = self.call(by or self.data.owner, "data.assess", request)
        assert isinstance(found, DatasetAssessment)
        return found

    def listed(self, by: Principal | None = None) -> list[DatasetAssessment]:
        """All of the dataset."""
        request = ListDatasetAssessments(workspace="clinic", name="patients")
        found: list[DatasetAssessment] = self.call(
            by or self.data.owner, "data.assessments", request
        ).assessments
        return found

    def text(self, by: Principal, operation: str = "data.assessment", **fields: object) -> str:
        """A report, or the list of suspect rows."""
        given = {"workspace": "clinic", "name": "patients", "kind": "copies", **fields}
        bound = next(b for b in operations_of(self.room) if b.declared.name == operation)
        request = bound.declared.input.model_validate(given)
        return b"".join(self.call(by, operation, request).chunks).decode()


@contextmanager
def searchingroom(folder: Path) -> Iterator[SearchingRoom]:
    """One dataset, with labels that somebody turned."""
    with dataroom(folder) as data:
        house = data.house
        jobs = Jobs(house.database)
        with house.database.write() as session:
            house.keyring.create_workspace_key(session, "system")
            ModelKeys(house.keyring).ensure(session)
        parts = (
            house.database, data.blobs, house.keyring, jobs, house.log, Settings(home=folder),
        )  # fmt: skip
        room = DatasetAssessingOperations(*parts, clock=house.clock)
        plans = AssessingOperations(*parts, clock=house.clock)
        table, turned = poisoned()
        content = io.BytesIO()
        pyarrow.csv.write_csv(table, content)
        data.add(content.getvalue(), subject_column="person")
        jobs.start()
        try:
            built = SearchingRoom(data, room, plans, jobs, turned)
            request = SetPlan(workspace="clinic", kind="copies")
            built.call(data.owner, "model.set_plan", request, PLAN)
            yield built
        finally:
            jobs.stop()
