"""The servers that predictions are measured on, each in a process of its own.

python -m benchmarks.prediction_servers KIND FOLDER
"""

import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GUARDED = ("guarded", "observing", "refusing", "batched")


def model() -> bytes:
    """Trained the same each time."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import GradientBoostingClassifier

    data, target = load_breast_cancer(return_X_y=True)
    model = GradientBoostingClassifier(random_state=0).fit(data, target)
    converted: bytes = skl2onnx.convert_sklearn(
        model,
        initial_types=[("input", FloatTensorType([None, 30]))],
        options={id(model): {"zipmap": False}},
    ).SerializeToString()
    return converted


def _guard(folder: Path) -> Any:  # noqa: ANN401 # a bundle
    """A guard of the model: half of the rows are known, the others set the rates."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    from strongroom.engines.robustness.guards import guard, traffic
    from strongroom.engines.robustness.space import Feature, Space
    from strongroom.services.models.fitted_guard import FittedGuard

    data, target = load_breast_cancer(return_X_y=True)
    low, high = data.min(axis=0), data.max(axis=0)
    names = [f"x{place}" for place in range(30)]
    space = Space([Feature(*one) for one in zip(names, low.tolist(), high.tolist(), strict=True)])
    session = _session(folder)

    def predict(rows: Any) -> Any:  # noqa: ANN401 # arrays
        values = (rows * (high - low) + low).astype(np.float32)
        return np.asarray(session.run(None, {"input": values})[1], dtype=np.float64)

    points = (data - low) / (high - low)
    known = np.random.default_rng(0).random(len(points)) < 0.5
    apart = points[~known], target[~known]
    made = guard.fit((points[known], target[known]), apart, predict, classes=2)
    seen = traffic.fit(*apart, predict(apart[0]))
    return FittedGuard("0" * 64, space, ("0", "1"), False, made, seen)


def _session(folder: Path) -> Any:  # noqa: ANN401 # onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession((folder / "model.onnx").read_bytes(), options)


def _bare(folder: Path) -> Any:  # noqa: ANN401 # an ASGI application
    import msgspec
    import numpy as np

    session = _session(folder)
    decoder = msgspec.json.Decoder(dict[str, list[list[float]]])
    encode = msgspec.json.Encoder().encode
    head = {"type": "http.response.start", "status": 200}

    async def app(_scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # ASGI
        body = (await receive())["body"]
        rows = np.array(decoder.decode(body)["rows"], dtype=np.float32)
        labels, probabilities = session.run(None, {"input": rows})
        answer = encode({"predictions": labels.tolist(), "probabilities": probabilities.tolist()})
        length = (b"content-length", str(len(answer)).encode())
        await send({**head, "headers": [(b"content-type", b"application/json"), length]})
        await send({"type": "http.response.body", "body": answer})

    return app


def _fastapi(folder: Path) -> Any:  # noqa: ANN401 # an ASGI application
    import numpy as np
    from fastapi import FastAPI
    from pydantic import BaseModel

    session = _session(folder)
    app = FastAPI()

    class Rows(BaseModel):
        rows: list[list[float]]

    @app.post("/score")
    async def score(body: Rows) -> dict[str, Any]:
        table = np.array(body.rows, dtype=np.float32)
        labels, probabilities = session.run(None, {"input": table})
        return {"predictions": labels.tolist(), "probabilities": probabilities.tolist()}

    # With postponed annotations the local class would not be found; here it is.
    return app


@contextmanager
def _guarded(
    folder: Path, *, behind: bool, mode: str, rows_per_minute: int = 100_000_000
) -> Iterator[tuple[Any, Any]]:
    """Our application over a real home, and its certificate; writes the API key to `key`."""
    from strongroom.faces.foundation import open_foundation
    from strongroom.faces.inference.app import InferenceApp
    from strongroom.gate.access.roles import workspace_role
    from strongroom.gate.access.types import Principal, PrincipalKind
    from strongroom.gate.declaration import operations_of
    from strongroom.gate.identity.accounts import create_account
    from strongroom.gate.workspaces.tables import WorkspaceRow
    from strongroom.services.endpoints.guards import EndpointGuards
    from strongroom.services.endpoints.operations import EndpointOperations
    from strongroom.services.endpoints.runners import Runners
    from strongroom.services.endpoints.types import CreateEndpoint, DeployModel
    from strongroom.services.models.types import Servable
    from strongroom.settings import Settings
    from strongroom.vault.certificates import ensure_certificate

    class Shelf:
        """Hands out the one model."""

        def servable(self, workspace: str, model: str, version: int) -> Servable:
            """It, whatever is asked for."""
            del workspace
            names = tuple(f"x{i}" for i in range(30))
            onnx = (folder / "model.onnx").read_bytes()
            return Servable(
                model=model, version=version, digest="0" * 64, onnx=onnx, features=names,
                feature_types=("FP32",) * 30, classes=("0", "1"),
            )  # fmt: skip  # one call

        def guard_of(self, *_version: object) -> str:
            """It has one."""
            return "guard"

        def open_guard(self, *_guard_of: object) -> Any:  # noqa: ANN401 # a bundle
            """The one."""
            return _guard(folder)

        def require_standing(self, *_version: object) -> None:
            """It stays approved."""

        def falls_back(self, _workspace: str) -> bool:
            """To no other: there is one."""
            return False

    with ExitStack() as stack:
        found = stack.enter_context(open_foundation(Settings(home=folder / "home")))
        now = datetime.now(UTC)
        with found.database.write() as session:
            place = WorkspaceRow(name="clinic", description="", created_by="", created_at=now)
            session.add(place)
            row = create_account(
                session, "eve", PrincipalKind.PERSON, by="", now=now, random=os.urandom
            )
            found.grants.grant(
                session, row.id, workspace_role("ML Engineer"), "clinic", by=row.id, now=now
            )
            _, key = found.issuer.api_key(
                session, row.id, purpose="bench", days=1, workspaces=(), by=row.id
            )
        runners = Runners()
        stack.callback(runners.close)
        guards = EndpointGuards(found.database, Shelf(), found.keyring, found.log)
        guards.start()
        stack.callback(guards.stop)
        room = EndpointOperations(Shelf(), runners, guards)
        verbs = {bound.declared.name: bound for bound in operations_of(room)}
        eve = Principal(PrincipalKind.PERSON, row.id, "eve")
        place_of = {"workspace": "clinic", "endpoint": "tumour"}
        create = CreateEndpoint.model_validate({**place_of, "rows_per_minute": rows_per_minute})
        found.gate.perform(verbs["endpoint.create"], eve, create)
        deploy = DeployModel.model_validate(
            {**place_of, "model": "tumour", "version": 1, "guard": mode}
        )
        found.gate.perform(verbs["endpoint.deploy"], eve, deploy)
        app = InferenceApp(
            identity=found.sign_in, access=found.access, log=found.log, runners=runners,
            record_before_answer=not behind,
        )  # fmt: skip  # one call
        certificate = ensure_certificate(
            found.home.tls, found.database, found.keyring, ["localhost"], now
        )
        (folder / "key").write_text(key)
        with found.database.write() as session:
            mal = create_account(
                session, "mal", PrincipalKind.PERSON, by="", now=now, random=os.urandom
            )
            role = workspace_role("ML Engineer")
            found.grants.grant(session, mal.id, role, "clinic", by=row.id, now=now)
            _, other = found.issuer.api_key(
                session, mal.id, purpose="bench", days=1, workspaces=(), by=row.id
            )
        (folder / "other_key").write_text(other)
        yield app, certificate


def serve(kind: str, folder: Path) -> None:
    """Run one server until it is told to stop."""
    import uvicorn

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if kind in GUARDED:
            from strongroom.faces.door import Door
            from strongroom.faces.pauses import collect_little, one_thread_each
            from strongroom.faces.server import configuration

            gc.set_threshold(50_000, 20, 100)  # as the command has it
            one_thread_each()
            app, certificate = stack.enter_context(
                _guarded(
                    folder,
                    behind=kind == "batched",
                    mode={"observing": "observe", "refusing": "refuse"}.get(kind, "off"),
                    rows_per_minute=int(os.environ.get("ROWS_PER_MINUTE", "100000000")),
                )
            )
            # All come from one address here.
            config = configuration(Door(app, per_minute=100_000_000), certificate)
            collect_little()
        else:
            app = _bare(folder) if kind == "bare" else _fastapi(folder)
            config = uvicorn.Config(
                app, loop="uvloop", http="httptools", lifespan="off", ws="none", log_config=None,
                access_log=False,
            )  # fmt: skip  # one call
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
