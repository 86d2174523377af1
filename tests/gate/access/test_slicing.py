"""Slicing and caching never change a decision, on Cedar's own integration tests."""

import json
from pathlib import Path

import pytest
from cedarpy import Entities, PolicySet, Schema, is_authorized, is_authorized_batch

from strongroom.gate.access.policy_set import declared_actions, slice_by_action

FOLDERS = ("decimal", "example_use_cases", "ip", "multi")


def cases(root: Path) -> list[Path]:
    return sorted(file for folder in FOLDERS for file in (root / "tests" / folder).glob("*.json"))


def test_each_slice_decides_as_the_whole_set_and_as_published(shared_data: Path) -> None:
    root = shared_data / "vectors" / "cedar"
    asked = smaller = 0
    for file in cases(root):
        case = json.loads(file.read_text("utf-8"))
        policies = PolicySet.from_str((root / case["policies"]).read_text("utf-8"))
        schema = Schema.from_str((root / case["schema"]).read_text("utf-8"))
        entities = Entities.from_json_str((root / case["entities"]).read_text("utf-8"), schema)
        slices = slice_by_action(policies, declared_actions(schema))
        for request in case["requests"]:
            asked += 1
            query = {name: request[name] for name in ("principal", "action", "resource", "context")}
            sliced = slices[request["action"]["id"]]
            smaller += len(sliced) < len(policies)
            whole = is_authorized(query, policies, entities, schema)
            part = is_authorized(query, sliced, entities, schema)
            assert whole.decision.value.lower() == request["decision"], file.name
            assert part.decision == whole.decision, file.name
            assert set(part.diagnostics.reasons) == set(request["reason"]), file.name
            assert len(part.diagnostics.errors) == len(request["errors"]), file.name
    assert asked > 50
    assert smaller > 0


def test_slices_agree_with_the_whole_on_every_pairing_of_the_entities(shared_data: Path) -> None:
    """All policies of one sandbox together, asked about everything in it."""
    root = shared_data / "vectors" / "cedar"
    for sandbox in ("sandbox_a", "sandbox_b"):
        found = [json.loads(file.read_text("utf-8")) for file in cases(root)]
        of_this = [case for case in found if f"/{sandbox}/" in case["entities"]]
        texts = sorted({(root / case["policies"]).read_text("utf-8") for case in of_this})
        schema = Schema.from_str((root / of_this[0]["schema"]).read_text("utf-8"))
        document = (root / of_this[0]["entities"]).read_text("utf-8")
        entities = Entities.from_json_str(document, schema)
        uids = [entity["uid"] for entity in json.loads(document)]
        policies = PolicySet.from_str("\n".join(texts))
        context = {"authenticated": True}
        allowed = 0
        for action, sliced in slice_by_action(policies, declared_actions(schema)).items():
            queries = [
                {"principal": one, "action": {"type": "Action", "id": action}, "resource": other,
                 "context": context}
                for one in uids
                for other in uids
            ]  # fmt: skip
            whole = is_authorized_batch(queries, policies, entities)
            part = is_authorized_batch(queries, sliced, entities)
            for first, second in zip(whole, part, strict=True):
                assert first.decision == second.decision
                assert sorted(first.diagnostics.reasons) == sorted(second.diagnostics.reasons)
                assert sorted(first.diagnostics.errors) == sorted(second.diagnostics.errors)
                allowed += first.allowed
        assert allowed > 0


def test_an_action_outside_the_schema_has_no_slice(shared_data: Path) -> None:
    root = shared_data / "vectors" / "cedar"
    schema = Schema.from_str((root / "sample-data/sandbox_a/schema.cedarschema").read_text("utf-8"))
    policies = PolicySet.from_str("permit (principal, action, resource);")
    slices = slice_by_action(policies, declared_actions(schema))
    assert "view" in slices
    with pytest.raises(KeyError):
        slices["fly"]
