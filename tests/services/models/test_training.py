"""Training with privacy through the gate: paid first, learned in the sandbox, quarantined after."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.csv
import pytest
from tests.engines.privacy.dp.training.people import people
from tests.services.data.budgetroom import account, set_budget
from tests.services.data.dataroom import DataRoom, dataroom

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.errors import (
    BudgetError,
    ConflictError,
    RefusedError,
    StateError,
    StrongroomError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.types import JobState
from strongroom.services.models import training
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.training_operations import TrainingOperations
from strongroom.services.models.training_types import TrainingAnswer, TrainModel
from strongroom.services.models.types import (
    ApproveModel,
    ModelDetail,
    ModelFile,
    ModelReference,
    Provenance,
    Serving,
)
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


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TrainingRoom]:
    """A dataset of people with a budget of 2."""
    with dataroom(tmp_path) as data:
        house = data.house
        with house.database.write() as session:
            house.keyring.create_workspace_key(session, "system")
        settings = Settings(home=tmp_path)
        jobs = Jobs(house.database)
        models = ModelOperations(
            house.database, data.blobs, house.keyring, jobs, house.log, settings
        )
        models.start()
        built = TrainingOperations(
            data.blobs, house.keyring, jobs, house.log, settings, clock=house.clock
        )
        content = io.BytesIO()
        pyarrow.csv.write_csv(people(3_000), content)
        data.add(content.getvalue(), subject_column="person")
        set_budget(data, data.owner, 2.0)
        jobs.start()
        try:
            yield TrainingRoom(data, models, built, jobs, house.person("dana", "Data Scientist"))
        finally:
            jobs.stop()


def test_a_model_is_paid_trained_quarantined_and_served(room: TrainingRoom) -> None:
    answer = room.train(rows=3)
    assert answer.fits
    assert answer.protects == "the people of column `person`"
    assert answer.epsilon == pytest.approx(1.0, rel=0.02)
    assert answer.remaining == pytest.approx(1.0, rel=0.05)
    assert room.spends() == 1
    result = room.finished(answer.job)
    assert (result["model"], result["version"]) == ("rich", 1)
    room.checked(result["entry"])
    shown = room.show()
    assert (shown.state, shown.verdict, shown.serving) == ("checked", "clean", Serving.ONNX)
    assert shown.features == ["age", "wealth", "town"]
    assert shown.classes == ["no", "yes"]
    facts: Any = shown.facts
    assert facts["source"] == "strongroom training"
    parameters = facts["parameters"]
    assert parameters["privacy.epsilon"] == "1.0"
    assert parameters["privacy.rows of one unit at most"] == "3"
    assert parameters["privacy.unit"] == "a person, as `person` tells them"
    assert parameters["dataset"] == "patients/1"
    assert "seed" not in json.dumps(facts)
    spent = account(room.data, unit="person").spends[0]
    assert Cost.from_json(parameters["privacy.cost"]) == Cost.from_json(spent.cost)
    assert (spent.kind, spent.purpose) == ("training", "research")
    engineer = room.data.house.person("max", "ML Engineer")
    approve = ApproveModel(workspace="clinic", name="rich", version=1)
    room.of_models(engineer, "model.approve", approve)
    onnx = room.models.servable("clinic", "rich", 1).onnx
    assert onnx is not None
    session = onnxruntime.InferenceSession(onnx)
    row = {"age": [[80.0]], "wealth": [[9e5]]}
    feed = {name: np.array(value, np.float32) for name, value in row.items()}
    labels, _ = session.run(None, feed | {"town": np.array([["north"]], object)})
    assert labels.tolist() == ["yes"]
    outcomes = [e for e in room.data.house.events() if e.operation == "model.train"]
    assert [e.actor_kind for e in outcomes] == ["person", "job"]
    assert outcomes[0].details["remaining"] == pytest.approx(answer.remaining)


def test_a_second_training_is_the_next_version(room: TrainingRoom) -> None:
    first = room.finished(room.train(epsilon=0.5).job)
    second = room.finished(room.train(epsilon=0.5).job)
    assert [first["version"], second["version"]] == [1, 2]
    assert room.spends() == 2


def test_a_dry_run_spends_nothing_and_queues_nothing(room: TrainingRoom) -> None:
    answer = room.train(dry_run=True)
    assert (answer.fits, answer.job, room.spends()) == (True, "", 0)
    refused = room.train(epsilon=3.0, dry_run=True)
    assert not refused.fits
    assert "would be spent" in str(refused.refusal)


def test_what_does_not_fit_is_refused_before_a_row_is_read(room: TrainingRoom) -> None:
    with pytest.raises(BudgetError) as caught:
        room.train(epsilon=3.0)
    fitting = float(caught.value.next_step.split("at most ")[1].split(",")[0])
    assert 1.9 < fitting <= 2.0
    assert room.spends() == 0


def test_what_fails_is_spent_all_the_same(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.Trainer, "_pour", _failing)
    status = room.jobs.wait(room.train().job, 60)
    assert status.state is JobState.FAILED
    assert room.spends() == 1


def _failing(*_: object) -> None:
    raise ValidationError("the rows are of no use")


def test_a_job_that_is_done_again_registers_no_second_model(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.Trainer._tried
    results = []

    def twice(self: training.Trainer, context: Any, payload: Any) -> Any:  # noqa: ANN401 # as is
        results.append(real(self, context, payload))
        return real(self, context, payload)

    monkeypatch.setattr(training.Trainer, "_tried", twice)
    result = room.finished(room.train().job)
    assert results[0] == result
    assert result["version"] == 1
    with pytest.raises(StrongroomError):
        room.show(version=2)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"domain": DOMAIN.replace("columns.town", "columns.street")}, "no column `street`"),
        ({"domain": DOMAIN.replace("columns.town", "columns.person")}, "whom a row is about"),
        ({"domain": DOMAIN + "[columns.x"}, "no TOML"),
        ({"method": "network"}, "additive or boosting"),
        ({"method": "forest"}, "additive or boosting"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": 1e9}, "epsilon"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"rows": 5_000}, "rows"),
    ],
)
def test_a_wish_that_cannot_be_met_costs_nothing(
    room: TrainingRoom, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        room.train(**fields)
    assert room.spends() == 0


def test_models_that_a_client_registers_are_left_to_it(room: TrainingRoom) -> None:
    data = room.data
    with data.blobs.put("clinic", "artifact", [b"# x"]) as staged, \
            data.house.database.write() as session:  # fmt: skip
        room.models.register(
            session, workspace="clinic", model="rich", version=1,
            files=[ModelFile("notes.md", data.blobs.commit(session, staged).id)],
            provenance=Provenance(), actor="usr_1",
        )  # fmt: skip
    with pytest.raises(ConflictError) as caught:
        room.train()
    assert "another name" in caught.value.next_step
    assert room.spends() == 0


@pytest.mark.parametrize("role", ["Reader", "Auditor", "Compute Operator", "Privacy Officer"])
def test_other_roles_may_not_train(room: TrainingRoom, role: str) -> None:
    with pytest.raises(RefusedError):
        room.train(by=room.data.house.person(f"o{len(role)}", role))
    assert room.spends() == 0


def test_without_a_budget_nothing_is_trained(room: TrainingRoom) -> None:
    room.data.add(b"age,wealth,town,rich\n20,3,north,no\n", "others")
    with pytest.raises(StateError, match="no privacy budget"):
        room.train(dataset="others")


def test_rows_of_a_person_need_a_subject(room: TrainingRoom) -> None:
    room.data.add(b"age,wealth,town,rich\n20,3,north,no\n", "others")
    with pytest.raises(ValidationError, match="subject column"):
        room.train(dataset="others", rows=2)


def test_boosting_runs_in_the_sandbox_too(room: TrainingRoom) -> None:
    result = room.finished(room.train(method="boosting").job)
    room.checked(result["entry"])
    assert room.show().serving is Serving.ONNX
