"""Before MLflow is mounted, when it cannot be, and that it is so only once."""

from typing import Any

import anyio
import pytest
from starlette.types import Message
from tests.faces.mlflow.ward import Ward

from strongroom.errors import HomeNewerError, InternalError
from strongroom.faces.mlflow.mounting import Mounting, mount

NOTHING: Any = None


def asked(app: Mounting) -> tuple[int, bytes]:
    """Status and body of the answer to a request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/api/2.0/x", "headers": []}
        await app(scope, receive, send)

    anyio.run(ask)
    return sent[0]["status"], sent[1]["body"]


def test_until_it_is_ready_callers_are_asked_to_wait() -> None:
    app = Mounting(NOTHING)
    assert not app.ready
    status, body = asked(app)
    assert status == 503
    assert b"still starting" in body


def test_a_second_mount_is_refused_and_said(ward: Ward) -> None:
    with pytest.raises(InternalError):
        mount(NOTHING)
    app = Mounting(NOTHING)
    app.start()
    with pytest.raises(InternalError):
        app.wait(10)
    assert asked(app)[0] == 503


def test_tables_of_another_version_are_left_alone(ward: Ward) -> None:
    from sqlalchemy import text

    from strongroom.faces.mlflow.schema import prepare, upgrade

    database = ward.house.database
    with database.write() as session:
        kept = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        session.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
    try:
        with pytest.raises(HomeNewerError, match="from the future"):
            prepare(database)
    finally:
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": kept})
    prepare(database)
    upgrade(database)
