"""The OpenAPI document: complete, true to the declarations, and true to the server."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from tests.faces.notes import NotesServer, identify
from tests.faces.serving import Switch

from strongroom.faces.api.app import build
from strongroom.faces.api.openapi import PREFIX, document, every_error


@pytest.fixture
def described(notes: NotesServer) -> dict[str, Any]:
    return document(notes.operations)


def test_each_operation_with_a_route_has_an_entry(
    notes: NotesServer, described: dict[str, Any]
) -> None:
    for bound in notes.operations:
        route = bound.declared.route
        assert route is not None
        entry = described["paths"][PREFIX + route.path][route.method.lower()]
        assert entry["operationId"] == bound.declared.name
        assert entry["summary"] == bound.declared.summary
        assert entry["x-strongroom-action"] == bound.declared.action


def test_each_status_an_error_can_have_is_in_each_entry(described: dict[str, Any]) -> None:
    statuses = {str(kind.status) for kind in every_error()}
    for path in described["paths"].values():
        for entry in path.values():
            assert statuses <= entry["responses"].keys()


def test_path_query_and_body_fields_stand_where_they_belong(described: dict[str, Any]) -> None:
    add = described["paths"][f"{PREFIX}/workspaces/{{workspace}}/notes"]["post"]
    body = add["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"name", "text", "colour", "weight"}
    assert body["required"] == ["name", "text"]
    assert body["additionalProperties"] is False
    assert add["requestBody"]["content"]["application/json"]["example"]["text"] == "hello"
    assert [(p["name"], p["in"]) for p in add["parameters"]] == [("workspace", "path")]
    listed = described["paths"][f"{PREFIX}/workspaces/{{workspace}}/notes"]["get"]
    assert [(p["name"], p["in"], p["required"]) for p in listed["parameters"]] == [
        ("workspace", "path", True),
        ("limit", "query", False),
        ("colours", "query", False),
    ]


def test_it_is_plain_json_without_dangling_references(described: dict[str, Any]) -> None:
    text = json.dumps(described)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    for reference in references:
        found: Any = described
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
    assert described["security"] == [{"apiKey": []}]


@pytest.fixture
def served(notes: NotesServer, switch: tuple[Switch, int]) -> str:
    passing, port = switch
    passing.app = build(notes.operations, notes.gate, identify, notes.settings)
    return f"http://127.0.0.1:{port}"


def test_the_server_does_what_the_document_says(served: str, notes: NotesServer) -> None:
    """Schemathesis sends generated requests, right and wrong, and checks each answer.

    Left out: its check that an unknown method answers 405, for here what is not declared is 404
    in every case; and `note.break`, which fails on purpose.
    """
    address = f"{served}{PREFIX}/openapi.json"
    for name in ("first", "second"):
        httpx.post(
            f"{served}{PREFIX}/workspaces/clinic/notes",
            json={"name": name, "text": "hi"},
            headers={"Authorization": "Bearer srk_writer"},
        ).raise_for_status()
    import schemathesis
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import unsupported_method

    schema = schemathesis.openapi.from_url(address).exclude(operation_id="note.break")
    # JSON Schema has no word for "no NUL": the document's introduction says it.
    schema.config.generation.update(allow_x00=False)

    def send(case: Any) -> None:  # noqa: ANN401 # generic over schemathesis' own types
        case.call_and_validate(
            headers={"Authorization": "Bearer srk_writer"}, excluded_checks=[unsupported_method]
        )

    quick = settings(
        max_examples=12, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    walked = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        for mode in schemathesis.GenerationMode:
            strategy: Any = found.ok().as_strategy(generation_mode=mode)
            quick(given(case=strategy)(send))()
        walked.add(found.ok().label)
    assert len(walked) == len(notes.operations) - 1
    assert not [event for event in notes.log.events if event.reason.startswith("internal")]
