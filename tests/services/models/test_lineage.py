"""From a version to its data: names, versions and views, and what was erased since."""

from typing import Any

import pytest
from tests.services.models.modelroom import PLAIN, ModelRoom, reference
from tests.services.models.test_promotion import approve, set_rules

from strongroom.errors import PromotionError
from strongroom.gate.declaration import operations_of
from strongroom.services.data.operations import DataOperations
from strongroom.services.data.types import AddDataset, RemoveDataset
from strongroom.services.models.types import ListModels, Provenance
from strongroom.settings import Settings

ROWS = b"age,town\n31,north\n44,south\n"


class Data:
    """The room of datasets beside that of models."""

    def __init__(self, room: ModelRoom) -> None:
        self.room = room
        self.operations = DataOperations(
            room.blobs, room.house.keyring, Settings(home=room.folder.parent)
        )
        self.owner = room.house.person("dora", "Owner")

    def call(self, name: str, request: Any, body: bytes = b"") -> Any:  # noqa: ANN401 # each has its own
        bound = next(b for b in operations_of(self.operations) if b.declared.name == name)
        return self.room.house.gate.perform(bound, self.owner, request, body=iter([body])).result

    def add(self, name: str, rows: bytes = ROWS, purpose: str = "triage") -> Any:  # noqa: ANN401 # as call
        request = AddDataset(workspace="clinic", name=name, purpose=purpose)
        return self.call("data.add", request, rows)

    def rm(self, name: str, version: int = 0) -> None:
        self.call("data.rm", RemoveDataset(workspace="clinic", name=name, version=version))


def trained(room: ModelRoom, version: int, *datasets: str) -> None:
    provenance = Provenance(run_id="run1", datasets=datasets)
    room.wait(room.register(PLAIN, version=version, provenance=provenance))


def stale(room: ModelRoom) -> list[int]:
    wanted = ListModels(workspace="clinic", stale=True)
    return [one.version for one in room.call(room.scientist, "model.ls", wanted).versions]


def test_what_was_erased_since_is_told_and_refused(room: ModelRoom) -> None:
    data = Data(room)
    first, second = data.add("visits"), data.add("visits", ROWS + b"52,east\n")
    other = data.add("bills", purpose="billing")
    trained(room, 1, f"visits@{first.digest}", f"renamed@{other.commitment}")
    trained(room, 2, f"visits@{second.commitment}")
    trained(room, 3, f"visits@sha256:{'0' * 64}", "made-up@abc123", "sha256:ff")
    shown = room.call(room.scientist, "model.show", reference())
    assert [(it.name, it.version, it.view, it.purpose, it.state) for it in shown.trained_on] == [
        ("visits", 1, "clear", "triage", "present"),
        ("bills", 1, "masked", "billing", "present"),
    ]  # fmt: skip
    assert not shown.is_stale
    assert "lineage" not in shown.facts
    # Whoever sees the model and not the data learns no digest to test guesses on.
    assert first.digest not in str(shown.facts)
    unknown = room.call(room.scientist, "model.show", reference(version=3)).trained_on
    assert [(one.name, one.state) for one in unknown] == [
        ("visits", "unknown"), ("made-up", "unknown"), ("", "unknown"),
    ]  # fmt: skip

    data.rm("visits", 2)
    # Another table under the number that is free again is not the data of version 2.
    assert data.add("visits", ROWS + b"60,west\n").version == 2
    assert stale(room) == [2]
    set_rules(
        room,
        "version = 1\napprovals = 1\npurposes = 'compatible'\n[also_for]\nbilling = ['triage']\n",
    )
    with pytest.raises(PromotionError, match="data since erased: visits/2"):
        approve(room, room.engineer, 2, purpose="triage")
    with pytest.raises(PromotionError, match="`visits/1` is for `triage`"):
        approve(room, room.engineer, 1, purpose="billing")
    assert approve(room, room.engineer, 1, purpose="triage").state == "approved"
    data.rm("visits")
    assert stale(room) == [2, 1]
    assert room.call(room.scientist, "model.show", reference()).is_stale


def test_a_version_from_before_there_was_a_lineage(
    room: ModelRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data(room)
    added = data.add("visits")
    with monkeypatch.context() as patched:
        patched.setattr("strongroom.services.models.registry.FACT", "nothing")
        trained(room, 1, f"visits@{added.digest}")
    shown = room.call(room.scientist, "model.show", reference())
    assert [(one.name, one.state) for one in shown.trained_on] == [("visits", "present")]
    data.rm("visits")
    shown = room.call(room.scientist, "model.show", reference())
    assert [(one.name, one.state) for one in shown.trained_on] == [("visits", "unknown")]
