"""Policies that look at the model and at the state of its version."""

from pathlib import Path

import pytest
from tests.services.endpoints.shelf import guards_of
from tests.services.models.modelroom import PLAIN, ModelRoom, reference

from strongroom.errors import RefusedError
from strongroom.gate.access.policy_set import SlicedPolicies, policy_text, schema_text
from strongroom.gate.declaration import operations_of
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.types import CreateEndpoint, DeployModel
from strongroom.services.models.promotion_types import ShowHistory
from strongroom.services.models.types import ApproveModel, ListModels

PAGE = Path(__file__).resolve().parents[3] / "docs" / "models.md"
MORE = """
@id("clinic.secret_history")
forbid (principal, action == Action::"readModel", resource is Model)
when { resource has model && resource.model == "iris" };
"""


def documented() -> str:
    """The policies that the page on models shows."""
    section = PAGE.read_text("utf-8").split("## Policies by model and state")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ")]
    assert len(lines) > 10
    return "\n".join(lines)


def test_a_policy_decides_by_model_and_state(room: ModelRoom) -> None:
    room.house.access.policies = SlicedPolicies.parse(
        schema_text(), policy_text() + documented() + MORE
    )
    endpoints = EndpointOperations(room.room, Runners(), guards_of(room.house, room.room))

    def deploy(model: str) -> object:
        bound = next(b for b in operations_of(endpoints) if b.declared.name == "endpoint.deploy")
        request = DeployModel(workspace="clinic", endpoint="desk", model=model, version=1)
        return room.house.gate.perform(bound, room.engineer, request).result

    create = next(b for b in operations_of(endpoints) if b.declared.name == "endpoint.create")
    room.house.gate.perform(
        create, room.engineer, CreateEndpoint(workspace="clinic", endpoint="desk")
    )
    for model in ("iris", "triage"):
        room.wait(room.register(PLAIN, model))
    # Not a word of what is there: a version that is not, is refused alike.
    for model in ("triage", "iris", "nothing"):
        with pytest.raises(RefusedError, match="deployModel"):
            deploy(model)
    for model in ("iris", "triage"):
        room.call(
            room.engineer, "model.approve", ApproveModel(workspace="clinic", name=model, version=1)
        )
    with pytest.raises(RefusedError, match="deployModel"):
        deploy("iris")
    # Past the policies: the sandbox then says that notes are no model.
    with pytest.raises(Exception, match=r"(?!.*deployModel)") as caught:
        deploy("triage")
    assert not isinstance(caught.value, RefusedError)

    with pytest.raises(RefusedError):
        room.call(room.engineer, "model.history", ShowHistory(workspace="clinic", name="iris"))
    room.wait(room.register(PLAIN, "triage", 2))
    wanted = ListModels(workspace="clinic", name="triage")
    assert [one.version for one in room.call(room.engineer, "model.ls", wanted).versions] == [2, 1]
    assert [one.version for one in room.call(room.scientist, "model.ls", wanted).versions] == [1]
    with pytest.raises(RefusedError):
        room.call(room.scientist, "model.show", reference("triage", 2))
    with room.house.database.write() as session:
        room.room.begin_workspace(session, "clinic")  # two approvals: the first decides nothing
    room.call(
        room.engineer, "model.approve", ApproveModel(workspace="clinic", name="triage", version=2)
    )
    history = ShowHistory(workspace="clinic", name="triage")
    for who, versions in ((room.engineer, [2, 1]), (room.scientist, [1])):
        told = room.call(who, "model.history", history).decisions
        assert [one.version for one in told] == versions
