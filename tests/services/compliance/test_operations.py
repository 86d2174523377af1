"""The log through the gate: who sees what of it, and what they can prove to others."""

import io
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from pydantic import BaseModel
from pydantic import ValidationError as ModelError
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.receipt import Receipt
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import NotFoundError, RefusedError, TamperedError, ValidationError
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.declaration import Stream, operations_of
from strongroom.services.compliance.operations import ComplianceOperations
from strongroom.services.compliance.types import (
    ExportLog,
    LogPage,
    LogReceipt,
    ProveEntry,
    SearchLog,
    TailLog,
    TailServerLog,
    VerifiedLog,
    VerifyLog,
)
from strongroom.vault.database import Database

Ask = Callable[[Principal, str, BaseModel], object]


@pytest.fixture
def house(database: Database) -> Iterator[Gatehouse]:
    with gatehouse(database) as opened:
        opened.workspace("clinic")
        opened.workspace("lab")
        yield opened


@pytest.fixture
def ask(house: Gatehouse) -> Ask:
    room = ComplianceOperations(house.log)
    bound = {each.declared.name: each for each in operations_of(room)}

    def perform(principal: Principal, name: str, request: BaseModel) -> object:
        return house.gate.perform(bound[name], principal, request).result

    return perform


def note(house: Gatehouse, number: int, workspace: str = "clinic", **fields: object) -> int:
    given: dict[str, object] = {
        "time": 1_700_000_000.0 + number,
        "workspace": workspace,
        "actor_kind": "person",
        "actor": "usr_1",
        "operation": "data.read",
        "action": "readDataset",
        "resource_type": "Dataset",
        "resource": f"{workspace}/d{number}",
        "audit_class": AuditClass.DATASTORE_ACTIVITY,
        "request_id": f"r{number}",
        "outcome": Outcome.ALLOWED,
    }
    return house.log.record(Event(**{**given, **fields})).index  # type: ignore[arg-type] # as each test needs


def places(page: object) -> list[int]:
    assert isinstance(page, LogPage)
    return [entry.index for entry in page.entries]


def test_an_auditor_reads_their_workspace_only(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    indices = [note(house, number, "lab" if number % 2 else "clinic") for number in range(6)]
    assert places(ask(auditor, "audit.tail", TailLog(workspace="clinic")))[-3:] == indices[4::-2]
    with pytest.raises(RefusedError):
        ask(auditor, "audit.tail", TailLog(workspace="lab"))
    # The refusal stands in the log of the workspace that was asked about.
    owner = house.person("olga", "Owner", workspace="lab")
    page = ask(owner, "audit.search", SearchLog(workspace="lab", outcome="refused"))
    assert isinstance(page, LogPage)
    assert page.entries[0].actor == auditor.id
    assert page.entries[0].operation == "audit.tail"


@pytest.mark.parametrize("role", ["Reader", "Data Scientist", "ML Engineer", "Compute Operator"])
@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("audit.tail", TailLog(workspace="clinic")),
        ("audit.search", SearchLog(workspace="clinic")),
        ("audit.prove", ProveEntry(workspace="clinic", index=0)),
        ("audit.verify", VerifyLog(workspace="clinic")),
        ("audit.export", ExportLog(workspace="clinic")),
        ("audit.server", TailServerLog()),
    ],
)
def test_other_roles_are_refused(
    house: Gatehouse, ask: Ask, role: str, name: str, request_: BaseModel
) -> None:
    with pytest.raises(RefusedError):
        ask(house.person("ron", role), name, request_)


def test_the_server_log_is_the_operators(house: Gatehouse, ask: Ask) -> None:
    index = note(house, 1, workspace="", resource_type="Server", resource="server")
    operator = house.person("opal", "Operator")
    assert index in places(ask(operator, "audit.server", TailServerLog()))
    with pytest.raises(RefusedError):
        ask(operator, "audit.tail", TailLog(workspace="clinic"))
    with pytest.raises(RefusedError):
        ask(house.person("vera", "Auditor"), "audit.server", TailServerLog())


def test_searching(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    indices = [note(house, number) for number in range(5)]

    def found(**fields: object) -> list[int]:
        return places(ask(auditor, "audit.search", SearchLog(workspace="clinic", **fields)))  # type: ignore[arg-type] # checked by the model

    assert found(resource_type="Dataset", resource="clinic/d2") == [indices[2]]
    assert found(actor="usr_1", limit=2) == indices[4:2:-1]
    assert found(actor="usr_1", before=indices[1]) == [indices[0]]
    since = datetime.fromisoformat("2023-11-14T22:13:21Z")
    until = datetime.fromisoformat("2023-11-14T22:13:23Z")
    assert found(since=since, until=until) == indices[2:0:-1]
    with pytest.raises(ValidationError, match="together"):
        found(resource="clinic/d2")
    with pytest.raises(ValidationError, match="`since` must say its time zone"):
        found(since=datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    for wrong in ({"limit": 501}, {"limit": 0}, {"outcome": "maybe"}, {"before": -1}):
        with pytest.raises(ModelError):
            found(**wrong)


def test_a_receipt_for_ones_own_workspace(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    mine, other = note(house, 1), note(house, 2, "lab")
    answer = ask(auditor, "audit.prove", ProveEntry(workspace="clinic", index=mine))
    assert isinstance(answer, LogReceipt)
    assert answer.entry.request_id == "r1"
    receipt = Receipt.parse(answer.receipt)
    assert receipt.verify([LogKey.parse(answer.log_key)]).size > mine
    for index in (other, 10_000):
        with pytest.raises(NotFoundError, match=f"no log entry `{index}`"):
            ask(auditor, "audit.prove", ProveEntry(workspace="clinic", index=index))


def test_verifying_the_live_log(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    index = note(house, 1)
    answer = ask(auditor, "audit.verify", VerifyLog(workspace="clinic"))
    assert isinstance(answer, VerifiedLog)
    key = LogKey.parse(answer.log_key)
    assert Checkpoint.open(answer.checkpoint.encode(), [key]).root.hex() == answer.root
    with house.database.write() as session:
        session.connection().exec_driver_sql(
            f"UPDATE log_entries SET sealed = zeroblob(100) WHERE leaf_index = {index}"  # noqa: S608 - a number
        )
    with pytest.raises(TamperedError, match=f"entry {index}"):
        ask(auditor, "audit.verify", VerifyLog(workspace="clinic"))


def test_taking_the_log_along(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    for number in range(300):
        house.log.submit(
            Event(
                time=1.0,
                workspace="clinic" if number % 2 else "lab",
                actor_kind="person",
                actor="usr_1",
                operation="data.read",
                action="readDataset",
                resource_type="Dataset",
                resource="d",
                audit_class=AuditClass.DATASTORE_ACTIVITY,
                request_id=f"r{number}",
                outcome=Outcome.ALLOWED,
            )
        )
    note(house, 1)
    stream = ask(auditor, "audit.export", ExportLog(workspace="clinic"))
    assert isinstance(stream, Stream)
    assert stream.filename == "log-clinic.zip"
    data = b"".join(stream.chunks)
    verified = verify_export(io.BytesIO(data), [house.log.key])
    assert verified.checkpoint.size >= 301
    assert verified.withheld >= 150
    assert b'"workspace":"lab"' not in data


def test_every_question_leaves_a_record(house: Gatehouse, ask: Ask) -> None:
    auditor = house.person("vera", "Auditor")
    index = note(house, 1)
    ask(auditor, "audit.prove", ProveEntry(workspace="clinic", index=index))
    last = house.events()[-1]
    assert (last.operation, last.actor, last.outcome) == ("audit.prove", auditor.id, "allowed")
    assert last.details["index"] == index
