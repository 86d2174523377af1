"""The table of routes: complete against the installed MLflow, and strict about paths."""

import re
from collections.abc import Iterator

import pytest
from tests.faces.mlflow.ward import Ward

from strongroom.faces.mlflow.routes import OFFERED, REFUSED, Kind, RouteTable, owns

# Answered by the gate itself; in MLflow only its own sign-in has it.
OURS = {("GET", "/ajax-api/2.0/mlflow/users/current")}


def installed() -> Iterator[tuple[str, str]]:
    """Method and template of every route of MLflow's server, of both of its frameworks."""
    from fastapi.routing import iter_route_contexts
    from mlflow.server import app as flask_app
    from mlflow.server.fastapi_app import app as fastapi_app

    for rule in flask_app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, rule.rule
    for context in iter_route_contexts(fastapi_app.routes):
        for method in getattr(context, "methods", None) or ():
            template = re.sub(r"\{(\w+):path\}", r"<path:\1>", str(context.path))
            yield method, re.sub(r"\{(\w+)\}", r"<\1>", template)


def refused(method: str, template: str) -> bool:
    return any(re.fullmatch(pattern, f"{method} {template}") for pattern, _ in REFUSED)


def test_every_route_of_the_installed_mlflow_is_in_one_table(ward: Ward) -> None:
    # What MLflow has and we refuse, its interface is told that there is none of; its users' and
    # roles' routes belong to a plug-in that is not installed.
    offered = {(it.method, it.template) for it in OFFERED if it.kind is not Kind.ABSENT}
    absent = {(it.method, it.template) for it in OFFERED if it.kind is Kind.ABSENT}
    found = set(installed()) - absent
    assert len(found) > 400
    assert sorted(it for it in found if it not in offered and not refused(*it)) == []
    assert sorted(it for it in offered if refused(*it)) == []
    assert sorted(offered - found) == sorted(OURS)


def test_no_reason_for_a_refusal_is_stale(ward: Ward) -> None:
    found = [f"{method} {template}" for method, template in installed()]
    assert [
        pattern for pattern, _ in REFUSED if not any(re.fullmatch(pattern, it) for it in found)
    ] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/2.0/mlflow/runs/get/"),
        ("GET", "/api/2.0//mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/./runs/get"),
        ("GET", "/api/2.0/mlflow/runs\\get"),
        ("GET", "/api/2.0/mlflow/runs/get\n"),
        ("POST", "/api/2.0/mlflow/runs/get"),
        ("OPTIONS", "/api/2.0/mlflow/runs/get"),
        ("GET", "/API/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/logged-models/a/b"),
        ("TRACE", "/version"),
    ],
)
def test_a_path_that_is_nearly_a_route_is_none(method: str, path: str) -> None:
    assert RouteTable().find(method, path) is None


def test_a_route_names_its_parts() -> None:
    found = RouteTable().find("GET", "/api/2.0/mlflow-artifacts/artifacts/workspaces/clinic/1/x")
    assert found is not None
    assert found[0].kind is Kind.TRANSFER
    assert found[1] == {"artifact_path": "workspaces/clinic/1/x"}
    assert RouteTable().find("HEAD", "/version") is not None


def test_only_mlflows_own_paths_are_taken() -> None:
    for path in ("/api/2.0/mlflow/runs/get", "/ajax-api/3.0/x", "/mlflow", "/mlflow/", "/version"):
        assert owns(path)
    for path in ("/", "/api/v1/x", "/mlflowish", "/health", "/graphql", "/get-artifact"):
        assert not owns(path)
