"""Training with privacy through the gate: paid first, learned in the sandbox, quarantined after."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sqlalchemy import select
from tests.services.data.budgetroom import account
from tests.services.models.trainingroom import DOMAIN, TrainingRoom, trainingroom
from tests.vault.test_migrations import own_database

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.training import sgd
from strongroom.errors import (
    BudgetError,
    ConflictError,
    MissingExtraError,
    RefusedError,
    StateError,
    StrongroomError,
    ValidationError,
)
from strongroom.services.data.catalog import Catalog
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.types import JobState
from strongroom.services.models import training
from strongroom.services.models.provenance import TRAINED_HERE
from strongroom.services.models.types import (
    ApproveModel,
    ModelFile,
    ModelReference,
    Provenance,
    Serving,
    ShowModelKey,
)
from strongroom.vault.blobs import BlobRow


@pytest.fixture
def room(tmp_path: Path) -> Iterator[TrainingRoom]:
    """A dataset of people with a budget of 2."""
    with trainingroom(tmp_path) as built:
        yield built


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
    assert_its_provenance_tells_data_and_cost(room)
    outcomes = [e for e in room.data.house.events() if e.operation == "model.train"]
    assert [e.actor_kind for e in outcomes] == ["person", "job"]
    assert outcomes[0].details["remaining"] == pytest.approx(answer.remaining)


def assert_its_provenance_tells_data_and_cost(room: TrainingRoom) -> None:
    request = ModelReference(workspace="clinic", name="rich", version=1)
    stream = room.of_models(room.scientist, "model.provenance", request)
    (signature,) = json.loads(content := b"".join(stream.chunks))["signatures"]
    given = room.of_models(room.scientist, "model.key", ShowModelKey(workspace="clinic"))
    key = VerifyingKey.from_pem(b"".join(given.chunks))
    assert signature["keyid"] == key.key_id
    predicate: Any = dsse.verify(content, [key]).predicate
    assert predicate["runDetails"]["builder"]["id"] == TRAINED_HERE
    build = predicate["buildDefinition"]
    assert build["internalParameters"]["privacy"]["epsilon"] == "1.0"
    with room.data.house.database.read() as session:
        catalog = Catalog(room.data.blobs, room.data.house.keyring)
        held = catalog.find(session, "clinic", "patients", 1)
    dataset = build["resolvedDependencies"][0]
    digest = {"strongroomHmacSha256": held.commitment.removeprefix("hmac-sha256:")}
    assert (dataset["name"], dataset["digest"]) == ("patients", digest)
    assert dataset["annotations"] == {"version": 1, "view": "clear"}
    assert held.record.digest.removeprefix("sha256:") not in json.dumps(predicate)


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


def wishes(room: TrainingRoom) -> int:
    """How many are kept for jobs."""
    with room.data.house.database.read() as session:
        kinds = session.scalars(select(BlobRow.kind)).all()
    return kinds.count("training-wish")


def test_what_fails_is_spent_all_the_same(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.Trainer, "_pour", _failing)
    status = room.jobs.wait(room.train(epsilon=0.3).job, 60)
    assert status.state is JobState.FAILED
    assert (room.spends(), wishes(room)) == (1, 0)
    room.jobs.stop()
    jobs = [room.train(epsilon=0.3).job for _ in range(2)]
    assert (room.spends(), wishes(room)) == (3, 2)
    with room.data.house.database.write() as session:
        room.jobs.cancel(session, session.get_one(JobRow, jobs[0]))
        row = session.get_one(JobRow, jobs[1])  # as a server leaves it that died three times
        row.state, row.attempts = JobState.RUNNING, 3
    room.jobs.start()
    assert [room.jobs.wait(job, 60).state for job in jobs] == ["cancelled", "failed"]
    assert "the server ended" in room.jobs.status(jobs[1]).error
    assert (room.spends(), wishes(room)) == (3, 0)


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


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"domain": DOMAIN.replace("columns.town", "columns.street")}, "no column `street`"),
    ({"domain": DOMAIN.replace("columns.town", "columns.person")}, "whom a row is about"),
    ({"domain": DOMAIN + "[columns.x"}, "no TOML"),
    ({"method": "forest"}, "additive, boosting, network"),
    ({"method": "network", "rows": 2}, "one row of each person"),
    ({"epsilon": 0.0}, "epsilon"),
    ({"epsilon": -1.0}, "epsilon"),
    ({"epsilon": 1e9}, "epsilon"),
    ({"delta": 0.0}, "delta"),
    ({"delta": 1.0}, "delta"),
    ({"rows": 5_000}, "rows"),
)


def test_a_wish_that_cannot_be_met_costs_nothing(room: TrainingRoom) -> None:
    # Nobody may ask more than ten times a minute.
    askers = [room.scientist, room.data.house.person("dan", "Data Scientist")]
    for at, (fields, words) in enumerate(WRONG):
        with pytest.raises(ValidationError, match=words):
            room.train(by=askers[at % 2], **fields)
        assert room.spends() == 0, words


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


def test_other_roles_may_not_train(room: TrainingRoom) -> None:
    for role in ("Reader", "Auditor", "Compute Operator", "Privacy Officer"):
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


def test_postgresql_pays_trains_and_registers_alike(
    tmp_path: Path, postgres_server_url: str
) -> None:
    with own_database(postgres_server_url) as url, trainingroom(tmp_path, url=url) as room:
        result = room.finished(room.train().job)
        assert (result["model"], result["version"], room.spends()) == ("rich", 1, 1)
        room.checked(result["entry"])
        assert (room.show().state, wishes(room)) == ("checked", 0)
        with pytest.raises(BudgetError):
            room.train(epsilon=1.9)  # alone it would fit
        assert [e.operation for e in room.data.house.events()].count("model.train") == 3


def test_a_network_runs_in_the_sandbox_too(room: TrainingRoom) -> None:
    if find_spec("opacus") is None:
        pytest.skip("the extra `torch` is not installed")
    status = room.jobs.wait(room.train(method="network").job, 300)  # it loads PyTorch
    assert status.state is JobState.DONE, status
    result: Any = status.result
    room.checked(result["entry"])
    shown = room.show()
    assert shown.serving is Serving.CONFINED  # as with any model that comes as ONNX
    facts: Any = shown.facts
    assert "DP-SGD" in facts["parameters"]["privacy.mechanism"]
    spent = account(room.data, unit="person").spends[0]
    assert Cost.from_json(facts["parameters"]["privacy.cost"]) == Cost.from_json(spent.cost)


def test_a_network_without_the_extra_costs_nothing(
    room: TrainingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sgd, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError) as caught:
        room.train(method="network")
    assert "strongroom[torch]" in caught.value.next_step
    assert room.spends() == 0
