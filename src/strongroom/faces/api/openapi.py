"""The OpenAPI 3.1 document, derived from the declarations and nothing else."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema

from strongroom import errors
from strongroom.faces.api.endpoint import RECEIPT_HEADER, WORKSPACE_HEADER
from strongroom.faces.api.problems import MEDIA_TYPE
from strongroom.faces.api.requests import MAX_INTEGER
from strongroom.gate.declaration import Body, BoundOperation, Operation, Stream

PREFIX = "/api/v1"
_SCHEMES = "#/components/schemas/{model}"

Json = dict[str, Any]


def document(operations: list[BoundOperation]) -> Json:
    """The document for `operations`, those with a route."""
    routed = [bound.declared for bound in operations if bound.declared.route is not None]
    schemas, components = _schemas(routed)
    paths: dict[str, Json] = {}
    for declared in routed:
        assert declared.route is not None  # noqa: S101 # for mypy: filtered above
        path = paths.setdefault(PREFIX + declared.route.path, {})
        path[declared.route.method.lower()] = _operation(declared, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": metadata.version("strongroom"),
            "summary": "A self-hosted home for machine learning on sensitive data",
            "description": (
                "Each operation is decided by a policy and leaves one entry in the log, named by "
                f"the header `{RECEIPT_HEADER}` of its answer. Errors are "
                "`application/problem+json` (RFC 9457) with a stable `code` and a `next_step`. "
                "No text may hold a NUL character, and no JSON object a name twice."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": name} for name in sorted({_tag(declared) for declared in routed})],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `srk_…`; also taken as the password of HTTP Basic.",
                }
            },
            "headers": {
                "Receipt": {
                    "description": "Index of the log entry that records this call.",
                    "schema": {"type": "string", "pattern": "^[0-9]+$"},
                },
                "RequestId": {
                    "description": "Ties the answer to the log entry and the server's own log.",
                    "schema": {"type": "string"},
                },
            },
            "responses": dict(_problem_responses()),
            "schemas": {**components, "Problem": _PROBLEM},
        },
    }


_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "code", "next_step", "request_id"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable; docs/errors.md lists them"},
        "next_step": {"type": "string", "description": "what the caller can do about it"},
        "request_id": {"type": "string"},
        "log_entry": {"type": "integer", "minimum": 0, "description": "where it is recorded"},
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": "`readClear` is not permitted to you on this resource",
            "code": "refused",
            "next_step": "ask an owner of the workspace for a role that may do this",
            "request_id": "9f3c1a5be07d2244",
        }
    ],
}


def every_error() -> list[type[errors.StrongroomError]]:
    """All errors of the tree that are loaded, parents before children."""
    found: list[type[errors.StrongroomError]] = [errors.StrongroomError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return [kind for kind in found if kind.__module__.startswith("strongroom.")]


def _problem_responses() -> Iterator[tuple[str, Json]]:
    for status in sorted({kind.status for kind in every_error()}):
        codes = sorted({kind.code for kind in every_error() if kind.status == status})
        response: Json = {
            "description": "Codes: " + ", ".join(f"`{code}`" for code in codes),
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status == 401:
            response["headers"]["WWW-Authenticate"] = {"schema": {"type": "string"}}
        if status == 429:
            response["headers"]["Retry-After"] = {"schema": {"type": "string"}}
        yield f"Problem{status}", response


def _tag(declared: Operation) -> str:
    return declared.name.partition(".")[0]


def _schemas(routed: list[Operation]) -> tuple[dict[tuple[str, str], Json], dict[str, Json]]:
    """Schema of each operation's input and output by (name, mode), and their shared parts."""
    wanted: list[tuple[str, JsonSchemaMode, CoreSchema]] = []
    for declared in routed:
        wanted.append((declared.name, "validation", declared.input.__pydantic_core_schema__))
        if declared.output not in {Stream, type(None)}:
            wanted.append(
                (declared.name, "serialization", TypeAdapter(declared.output).core_schema)
            )
    generator = GenerateJsonSchema(ref_template=_SCHEMES)
    schemas, definitions = generator.generate_definitions(cast("Any", wanted))
    for schema in [*schemas.values(), *definitions.values()]:
        _bound_integers(schema)
    return (
        {cast("tuple[str, str]", key): value for key, value in schemas.items()},
        cast("dict[str, Json]", definitions),
    )


def _bound_integers(schema: object) -> None:
    """State the range that `requests` holds whole numbers to, in each integer below."""
    if isinstance(schema, list):
        for one in schema:
            _bound_integers(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema["maximum"] = min(schema.get("maximum", MAX_INTEGER), MAX_INTEGER)
            schema["minimum"] = max(schema.get("minimum", -MAX_INTEGER), -MAX_INTEGER)
        for one in list(schema.values()):
            _bound_integers(one)


def _operation(
    declared: Operation, schemas: dict[tuple[str, str], Json], components: dict[str, Json]
) -> Json:
    route = declared.route
    assert route is not None  # noqa: S101 # for mypy: only routed operations come here
    entry: Json = {
        "operationId": declared.name,
        "tags": [_tag(declared)],
        "summary": declared.summary,
        "description": declared.description or declared.summary,
        "parameters": [],
        "responses": {"200": _success(declared, schemas)},
        "x-strongroom-action": declared.action,
        "x-strongroom-audit-class": declared.audit.value,
    }
    if declared.output is type(None):
        entry["responses"] = {"204": _success(declared, schemas)}
    if declared.command is not None:
        entry["x-strongroom-command"] = f"strongroom {declared.command.words}"
    for status in sorted({kind.status for kind in every_error()}):
        entry["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    schema = _resolved(schemas[declared.name, "validation"], components)
    properties: dict[str, Json] = dict(schema.get("properties", {}))
    required = set(schema.get("required", ()))
    for name in list(properties):
        if f"{{{name}}}" in route.path:
            entry["parameters"].append(_parameter(declared.input, name, properties, "path", True))
            del properties[name]
    if "workspace" in properties:
        required.discard("workspace")
        entry["parameters"].append(
            {
                "name": WORKSPACE_HEADER,
                "in": "header",
                "required": False,
                "description": "The workspace, where the field `workspace` is not given.",
                "schema": properties["workspace"],
            }
        )
    if declared.body is Body.JSON and route.method not in {"GET", "DELETE"}:
        if properties:
            entry["requestBody"] = _json_body(schema, properties, required)
        return entry
    for name in list(properties):
        entry["parameters"].append(
            _parameter(declared.input, name, properties, "query", name in required)
        )
    if declared.body is Body.STREAM:
        entry["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    return entry


def _resolved(schema: Json, components: dict[str, Json]) -> Json:
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema


def _json_body(schema: Json, properties: dict[str, Json], required: set[str]) -> Json:
    body: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if needed := [name for name in properties if name in required]:
        body["required"] = needed
    if title := schema.get("title"):
        body["title"] = title
    content: Json = {"schema": body}
    examples = {
        name: value["examples"][0] for name, value in properties.items() if value.get("examples")
    }
    if set(needed) <= examples.keys() and examples:
        content["example"] = examples
    return {"required": bool(needed), "content": {"application/json": content}}


def _parameter(
    model: type[BaseModel], name: str, properties: dict[str, Json], place: str, needed: bool
) -> Json:
    schema = dict(properties[name])
    # A text in an address cannot be null: leave it out instead.
    if isinstance(choices := schema.get("anyOf"), list):
        rest = [choice for choice in choices if choice != {"type": "null"}]
        if len(rest) == 1:
            del schema["anyOf"]
            schema.pop("default", None)
            schema.update(rest[0])
        else:
            schema["anyOf"] = rest
    if place == "path" and schema.get("type") == "string":
        schema.setdefault("minLength", 1)
    parameter: Json = {"name": name, "in": place, "required": needed, "schema": schema}
    if text := model.model_fields[name].description:
        parameter["description"] = text
        schema.pop("description", None)
    if examples := schema.pop("examples", None):
        parameter["example"] = examples[0]
    return parameter


def _success(declared: Operation, schemas: dict[tuple[str, str], Json]) -> Json:
    response: Json = {
        "description": "Done.",
        "headers": {
            RECEIPT_HEADER: {"$ref": "#/components/headers/Receipt"},
            "X-Request-Id": {"$ref": "#/components/headers/RequestId"},
        },
    }
    if declared.output is Stream:
        response["description"] = "The bytes, as an attachment."
        response["content"] = {"*/*": {"schema": {"type": "string"}}}
    elif declared.output is not type(None):
        response["content"] = {
            "application/json": {"schema": schemas[declared.name, "serialization"]}
        }
    return response
