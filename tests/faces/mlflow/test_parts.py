"""The parts that need no server: names, credentials, bodies, queries, entry points."""

import subprocess
import sys

import pytest

from strongroom.errors import (
    UndeclaredError,
    ValidationError,
)
from strongroom.faces.mlflow import queries, requests
from strongroom.faces.mlflow.places import Place, checked, parse, parse_uri

RUN = "0123456789abcdef0123456789abcdef"


def test_the_server_imports_mlflow_only_to_mount_it() -> None:
    code = (
        "import strongroom.faces.mlflow.mounting, strongroom.faces.mlflow.routes\n"
        "import strongroom.faces.mlflow.entrypoints, strongroom.faces.mlflow.tables, sys\n"
        "assert 'mlflow' not in sys.modules\n"
        "import mlflow.tracking\n"
        "assert 'strongroom.faces.mlflow.house' not in sys.modules\n"
        "from mlflow.tracking import MlflowClient\n"
        "try:\n"
        "    MlflowClient('strongroom://mounted').search_experiments()\n"
        "except Exception as error:\n"
        "    assert 'no server has mounted MLflow' in str(error), error\n"
        "else:\n"
        "    raise AssertionError\n"
        "from strongroom.errors import InternalError\n"
        "from strongroom.faces.mlflow.mounting import mount\n"
        "import mlflow.server\n"
        "try:\n"
        "    mount(None)\n"
        "except InternalError as error:\n"
        "    assert 'imported before' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


# ---- names ----


def test_places_are_parsed_and_written() -> None:
    for folder in (RUN, f"models/m-{RUN}", "traces/tr-1_A"):
        place = Place("clinic", "12", folder)
        assert parse_uri(place.uri) == (place, "")
        assert parse_uri(f"{place.uri}/a/b c.txt") == (place, "a/b c.txt")
        assert parse(f"workspaces/clinic/12/{folder}/artifacts/x") == (place, "x")


@pytest.mark.parametrize(
    "path",
    [
        "", "workspaces", f"workspaces/clinic/12/{RUN}", f"workspaces/clinic/12/{RUN}/artifactsx",
        f"workspaces/clinic/12/{RUN.upper()}/artifacts/x", f"workspaces/clinic/-1/{RUN}/artifacts",
        f"workspaces/CLINIC/12/{RUN}/artifacts", f"/workspaces/clinic/12/{RUN}/artifacts",
        f"workspaces/clinic/\uff11/{RUN}/artifacts/x", f"workspaces/clinic/12/{RUN}\n/artifacts",
        "workspaces/clinic/12/models/../artifacts",
        f"workspaces/clinic/12/traces/../{RUN}/artifacts",
        f"x/workspaces/clinic/12/{RUN}/artifacts",
    ],
)  # fmt: skip
def test_other_places_are_none(path: str) -> None:
    with pytest.raises(ValidationError):
        parse(path)


@pytest.mark.parametrize(
    "path", ["/a", "a/", "a//b", ".", "a/./b", "..", "a\\b", "a%2e", "a\x7f", "a\u202eb", "b" * 256]
)
def test_odd_paths_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        checked(path)


def test_plain_paths_are_taken_as_they_are() -> None:
    for path in ("", "a", "a/b.c/d e", "räksmörgås", "a..b", ".hidden", "x=1&y", "~", "a:b", "#1"):
        assert checked(path) == path


# ---- bodies ----


def test_a_request_is_written_anew() -> None:
    assert requests.checked(b'{"a": 1, "a": 2}') == b'{"a": 2}'
    assert requests.checked(b"") == b""
    for body in (b"[]", b"1", b'"{}"', b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ValidationError):
            requests.checked(body)


def test_a_query_is_written_anew() -> None:
    body = b'{"query": "query GetRun { mlflowGetRun { x } }", "operationName": "Other", "x": 1}'
    found = queries.checked(body)
    assert found == b'{"query": "query GetRun { mlflowGetRun { x } }", "variables": null}'
    for other in (
        "{ mlflowGetRun { x } }",
        "query GetRun { mlflowSearchRuns { x } }",
        "query GetRun { ... on Query { mlflowGetRun { x } } }",
        "query GetRun { mlflowGetRun { x } mlflowGetRun { x } }",
        "query GetRun { ...f } fragment f on Query { test }",
    ):
        with pytest.raises(UndeclaredError):
            queries.checked(b'{"query": "%s"}' % other.encode())
