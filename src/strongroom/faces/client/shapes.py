"""How operations are called over HTTP: method, path, and where each field goes."""

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strongroom.errors import UsageError


@dataclass(frozen=True, slots=True)
class Shape:
    """How an operation is called over HTTP.

    Attributes:
        path: under the server's root; `{field}` names fields.
        streamed: the HTTP body is a stream, so all other fields go into the query.
        fields: names of all fields.
    """

    method: str
    path: str
    streamed: bool
    fields: frozenset[str]


def shapes_of(document: Any) -> dict[str, Shape]:  # noqa: ANN401 # JSON
    """Every operation of an OpenAPI document of ours."""
    found = {}
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            body = entry.get("requestBody", {}).get("content", {})
            members = body.get("application/json", {}).get("schema", {}).get("properties", {})
            named = [p["name"] for p in entry["parameters"] if p["in"] != "header"]
            fields = frozenset([*named, *members])
            if any(p["in"] == "header" for p in entry["parameters"]):
                fields |= {"workspace"}
            found[entry["operationId"]] = Shape(
                method.upper(), path, "application/octet-stream" in body, fields
            )
    return found


def segment(name: str, value: object) -> str:
    """A field as one segment of a path.

    Raises:
        UsageError: it would change the path.
    """
    text = str(value)
    if not text or "/" in text or text in {".", ".."}:
        raise UsageError(f"`{name}` cannot be empty or hold `/`")
    return urllib.parse.quote(text, safe="")


def query(fields: Mapping[str, object]) -> list[tuple[str, str | int | float | bool | None]]:
    """Fields as a query; a list becomes its name several times."""
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in fields.items()
        for one in (value if isinstance(value, list | tuple) else [value])
    ]
