"""Who may do what: the expected answer for every declared operation, and a test of each cell.

The two tables below are meant to be read. An operation or action that is missing from them fails
the tests, and so does a row that nothing declares any more. Columns, each a person who holds that
one role in the workspace `clinic` (Opr: on the server; `-`: no role at all):

    Own Owner            Con Contributor      Rea Reader      Dat Data Scientist   MLE ML Engineer
    Com Compute Operator Pri Privacy Officer  Aud Auditor     Opr Operator         -   nobody
"""

import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests.gate.gatehouse import Gatehouse

import strongroom
from strongroom.gate.access.policy_set import SlicedPolicies
from strongroom.gate.access.types import SERVER, Entity, Principal, PrincipalKind, workspace_entity
from strongroom.gate.declaration import DECLARED, Operation

OPERATIONS = """
operation          about        Own Con Rea Dat MLE Com Pri Aud Opr -
whoami             Server       x   x   x   x   x   x   x   x   x   x
token.create       Server       x   x   x   x   x   x   x   x   x   x
token.ls           Server       x   x   x   x   x   x   x   x   x   x
token.revoke       Server       x   x   x   x   x   x   x   x   x   x
link.create        Server       x   x   x   x   x   x   x   x   x   x
user.claim         Server       x   x   x   x   x   x   x   x   x   x
user.invite        Account      .   .   .   .   .   .   .   .   x   .
user.create        Server       .   .   .   .   .   .   .   .   x   .
user.ls            Server       .   .   .   .   .   .   .   .   x   .
user.disable       Account      .   .   .   .   .   .   .   .   x   .
user.enable        Account      .   .   .   .   .   .   .   .   x   .
workspace.create   Server       .   .   .   .   .   .   .   .   x   .
workspace.ls       Server       x   x   x   x   x   x   x   x   x   x
workspace.show     Workspace    x   x   x   x   x   x   x   x   .   .
role.grant         Workspace    x   .   .   .   .   .   .   .   .   .
role.revoke        Workspace    x   .   .   .   .   .   .   .   .   .
role.reseal        Workspace    x   .   .   .   .   .   .   .   .   .
role.ls            Workspace    x   x   .   .   .   .   x   x   .   .
access.can         Workspace    x   x   x   x   x   x   x   x   .   .
access.who_can     Workspace    x   x   .   .   .   .   x   x   .   .
key.list           Workspace    x   .   .   .   .   .   .   .   .   .
key.rotate         Workspace    x   .   .   .   .   .   .   .   .   .
key.disable        Workspace    x   .   .   .   .   .   .   .   .   .
key.enable         Workspace    x   .   .   .   .   .   .   .   .   .
key.destroy        Workspace    x   .   .   .   .   .   .   .   .   .
data.add           Workspace    x   x   .   x   .   .   .   .   .   .
data.ls            Workspace    x   x   x   x   x   .   x   x   .   .
data.show          Dataset      x   x   x   x   x   .   x   x   .   .
data.report        Dataset      x   x   x   x   x   .   x   x   .   .
data.read          Dataset      x   x   .   x   x   .   x   .   .   .
data.assess        Dataset      x   x   .   x   x   .   x   .   .   .
data.assessments   Dataset      x   x   x   x   x   .   x   x   .   .
data.assessment    Dataset      x   x   .   x   x   .   x   .   .   .
data.quarantine    Dataset      x   x   .   x   x   .   x   .   .   .
data.classify      Dataset      x   .   .   .   .   .   x   .   .   .
data.policy        Dataset      x   x   x   x   x   .   x   x   .   .
data.set_policy    Dataset      x   .   .   .   .   .   x   .   .   .
data.unset_policy  Dataset      x   .   .   .   .   .   x   .   .   .
data.types         Workspace    x   x   x   x   x   .   x   x   .   .
data.set_types     Workspace    x   .   .   .   .   .   x   .   .   .
data.reveal        Dataset      x   .   .   .   .   .   x   .   .   .
data.forget_tokens Dataset      x   .   .   .   .   .   x   .   .   .
data.release       Dataset      x   .   .   .   .   .   x   .   .   .
data.release_query Dataset      x   .   .   .   .   .   x   .   .   .
data.release_synthetic Dataset  x   .   .   x   .   .   x   .   .   .
data.releases      Dataset      x   x   x   x   x   .   x   x   .   .
data.show_release  Dataset      x   x   x   x   x   .   x   x   .   .
data.approve_release Dataset    x   .   .   .   .   .   x   .   .   .
data.withdraw_release Dataset   x   .   .   .   .   .   x   .   .   .
data.read_release  Release      .   .   .   .   .   .   .   .   .   .
data.release_proof Release      .   .   .   .   .   .   .   .   .   .
data.rm            Dataset      x   x   .   .   .   .   .   .   .   .
data.budget        Dataset      x   x   x   x   x   .   x   x   .   .
data.set_budget    Dataset      x   .   .   .   .   .   x   .   .   .
data.allot_budget  Dataset      x   .   .   .   .   .   x   .   .   .
data.ask_raise     Dataset      x   x   .   x   x   .   x   .   .   .
data.approve_raise Dataset      x   .   .   .   .   .   x   .   .   .
data.decline_raise Dataset      x   .   .   .   .   .   x   .   .   .
data.query         Dataset      x   x   .   x   x   .   x   .   .   .
model.train        Dataset      x   x   .   x   x   .   .   .   .   .
model.ls           Workspace    x   x   x   x   x   .   x   x   .   .
model.show         ModelVersion x   x   x   x   x   .   x   x   .   .
model.statement    ModelVersion x   x   x   x   x   .   x   x   .   .
model.key          Workspace    x   x   x   x   x   .   x   x   .   .
model.signature    ModelVersion x   x   x   x   x   .   x   x   .   .
model.provenance   ModelVersion x   x   x   x   x   .   x   x   .   .
model.bom          ModelVersion x   x   x   x   x   .   x   x   .   .
model.card         ModelVersion x   x   x   x   x   .   x   x   .   .
model.verify       ModelVersion x   x   x   x   x   .   x   x   .   .
model.pull         ModelVersion x   x   .   x   x   .   .   .   .   .
model.approve      ModelVersion x   x   .   .   x   .   .   .   .   .
model.reject       ModelVersion x   x   .   .   x   .   .   .   .   .
model.retire       ModelVersion x   x   .   .   x   .   .   .   .   .
model.policy       Workspace    x   x   x   x   x   .   x   x   .   .
model.set_policy   Workspace    x   .   .   .   .   .   .   .   .   .
model.plan         Workspace    x   x   x   x   x   .   x   x   .   .
model.set_plan     Workspace    x   .   .   .   .   .   .   .   .   .
model.assess       ModelVersion x   x   .   .   x   .   .   .   .   .
model.fit_guard    ModelVersion x   x   .   .   x   .   .   .   .   .
model.guard        ModelVersion x   x   .   .   x   .   x   x   .   .
model.assessments  Model        x   x   x   x   x   .   x   x   .   .
model.assessment   ModelVersion x   x   .   .   x   .   x   x   .   .
model.harden       ModelVersion x   x   .   .   x   .   .   .   .   .
model.harden_without ModelVersion x x   .   .   x   .   .   .   .   .
model.hardening    ModelVersion x   x   .   .   x   .   x   x   .   .
model.quarantine   ModelVersion x   x   .   .   x   .   x   x   .   .
model.waiting      Workspace    x   x   x   x   x   .   x   x   .   .
model.history      Model        x   x   x   x   x   .   x   x   .   .
model.export       ModelVersion x   x   .   x   x   .   .   .   .   .
model.begin_import Model        x   x   .   x   x   .   .   .   .   .
model.imports      Workspace    x   x   .   x   x   .   .   .   .   .
model.send_file    Model        x   x   .   x   x   .   .   .   .   .
model.send_files   Model        x   x   .   x   x   .   .   .   .   .
model.finish_import Model       x   x   .   x   x   .   .   .   .   .
model.drop_import  Model        x   x   .   x   x   .   .   .   .   .
model.compare      ModelVersion x   x   x   x   x   .   x   x   .   .
model.rm           ModelVersion x   .   .   .   .   .   .   .   .   .
model.prune        Workspace    x   .   .   .   .   .   .   .   .   .
endpoint.create    Workspace    x   x   .   x   x   .   .   .   .   .
endpoint.deploy    Endpoint     x   x   .   x   x   .   .   .   .   .
endpoint.rollback  Endpoint     x   x   .   x   x   .   .   .   .   .
endpoint.ls        Workspace    x   x   x   x   x   .   x   x   .   .
endpoint.show      Endpoint     x   x   x   x   x   .   x   x   .   .
endpoint.invoke    Endpoint     x   x   .   x   x   .   .   .   .   .
endpoint.set_guard Endpoint     x   x   .   .   x   .   .   .   .   .
endpoint.guard     Endpoint     x   x   .   .   x   .   x   x   .   .
endpoint.reset_caller Endpoint  x   x   .   .   x   .   .   .   .   .
endpoint.delete    Endpoint     x   x   .   .   x   .   .   .   .   .
job.ls             Workspace    x   x   x   x   x   x   x   x   .   .
job.show           Job          x   x   x   x   x   x   x   x   .   .
job.cancel         Job          x   x   .   x   x   x   .   .   .   .
audit.tail         Workspace    x   x   .   .   .   .   x   x   .   .
audit.server       Server       .   .   .   .   .   .   .   .   x   .
audit.findings     Server       .   .   .   .   .   .   .   .   x   .
audit.resolve      Server       .   .   .   .   .   .   .   .   x   .
audit.search       Workspace    x   x   .   .   .   .   x   x   .   .
audit.prove        Workspace    x   x   .   .   .   .   x   x   .   .
audit.verify       Workspace    x   x   .   .   .   .   x   x   .   .
audit.export       Workspace    x   x   .   .   .   .   x   x   .   .
"""

# Asked within an operation, or by a face whose verbs are another's (MLflow, metrics).
FURTHER_ACTIONS = """
action             about      Own Con Rea Dat MLE Com Pri Aud Opr -
readDatasetMasked  Dataset    x   x   .   x   x   .   x   .   .   .
readDatasetClear   Dataset    x   .   .   .   .   .   x   .   .   .
readExperiment     Experiment x   x   x   x   x   .   x   x   .   .
writeExperiment    Experiment x   x   .   x   .   .   .   .   .   .
deleteExperiment   Experiment x   x   .   x   .   .   .   .   .   .
readArtifact       Experiment x   x   .   x   x   .   .   .   .   .
writeArtifact      Experiment x   x   .   x   .   .   .   .   .   .
readModel          Model      x   x   x   x   x   .   x   x   .   .
deleteModel        Model      x   x   .   .   .   .   .   .   .   .
deployModel        ModelVersion x   x   .   x   x   .   .   .   .   .
readApiKey         Account    .   .   .   .   .   .   .   .   x   .
revokeApiKey       Account    .   .   .   .   .   .   .   .   x   .
operate            Server     .   .   .   .   .   .   .   .   x   .
"""

COLUMNS = {
    "Own": "Owner", "Con": "Contributor", "Rea": "Reader", "Dat": "Data Scientist",
    "MLE": "ML Engineer", "Com": "Compute Operator", "Pri": "Privacy Officer", "Aud": "Auditor",
    "Opr": "Operator", "-": "",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a table: what it is about, and the columns that may."""

    about: str
    may: frozenset[str]


def read(table: str) -> dict[str, Row]:
    head, *lines = table.strip().splitlines()
    columns = head.split()[2:]
    assert columns == list(COLUMNS)
    rows: dict[str, Row] = {}
    for line in lines:
        name, about, *cells = line.split()
        assert name not in rows, f"{name} stands twice"
        assert len(cells) == len(columns), name
        assert set(cells) <= {"x", "."}, name
        rows[name] = Row(
            about, frozenset(c for c, cell in zip(columns, cells, strict=True) if cell == "x")
        )
    return rows


@cache
def declared() -> dict[str, Operation]:
    """Every operation of the product, once all rooms are imported."""
    package = Path(strongroom.__path__[0])
    for file in package.rglob("*.py"):
        if re.search(r"^ +@operation\($", file.read_text("utf-8"), re.MULTILINE):
            parts = file.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(parts))
    return {
        name: operation
        for name, operation in DECLARED.items()
        if operation.handler.__module__.startswith("strongroom.")
    }


def resource(operation: Operation, session: Session, workspace: str) -> Entity:
    """What the operation would be decided on, for a thing in `workspace` that is not there."""
    values: dict[str, Any] = dict.fromkeys(operation.input.model_fields, "something")
    request = operation.input.model_construct(**{**values, "workspace": workspace})
    return operation.resource(None, session, request)


def cast(house: Gatehouse) -> dict[str, Principal]:
    """One person for each column."""
    return {
        column: house.person(f"holds-{place}", *([role] if role else []))
        for place, (column, role) in enumerate(COLUMNS.items())
    }


def entity_about(about: str, workspace: str) -> Entity:
    if about == "Server":
        return SERVER
    if about == "Account":
        return Entity("Account", "usr_other", None)
    if about == "Workspace":
        return workspace_entity(workspace)
    return Entity(about, f"{workspace}/something", workspace)


def test_every_operation_is_in_the_table_and_no_other() -> None:
    assert sorted(read(OPERATIONS)) == sorted(declared())


def test_every_action_is_in_a_table() -> None:
    further = set(read(FURTHER_ACTIONS))
    of_operations = {operation.action for operation in declared().values()}
    assert of_operations | further == SlicedPolicies.built_in().actions


def test_every_cell_is_decided_as_the_table_says(house: Gatehouse) -> None:
    people = cast(house)
    wrong = []
    for name, row in read(OPERATIONS).items():
        operation = declared()[name]
        with house.database.read() as session:
            own = resource(operation, session, "clinic")
            foreign = resource(operation, session, "other")
        assert own.type == row.about, name
        for column, person in people.items():
            decision = house.access.decide(person, operation.action, own)
            assert not decision.errors, (name, decision.errors)
            if decision.allowed != (column in row.may):
                wrong.append(f"{name} by {column}: {decision}")
            if foreign.workspace is None:
                continue
            assert foreign.workspace == "other", name
            if house.access.decide(person, operation.action, foreign).allowed:
                wrong.append(f"{name} by {column} in another workspace")
    assert wrong == []


def test_every_further_action_is_decided_as_the_table_says(house: Gatehouse) -> None:
    people = cast(house)
    wrong = []
    for action, row in read(FURTHER_ACTIONS).items():
        for column, person in people.items():
            decision = house.access.decide(person, action, entity_about(row.about, "clinic"))
            assert not decision.errors, (action, decision.errors)
            if decision.allowed != (column in row.may):
                wrong.append(f"{action} by {column}: {decision}")
            if row.about in {"Server", "Account"}:
                continue
            if house.access.decide(person, action, entity_about(row.about, "other")).allowed:
                wrong.append(f"{action} by {column} in another workspace")
    assert wrong == []


@pytest.mark.parametrize("kind", list(PrincipalKind))
def test_an_unknown_principal_may_at_most_look_after_itself(
    house: Gatehouse, kind: PrincipalKind
) -> None:
    stranger = Principal(kind, "" if kind is PrincipalKind.ANONYMOUS else "usr_stranger")
    may = {
        name
        for name, row in read(OPERATIONS).items()
        if house.access.decide(
            stranger, declared()[name].action, entity_about(row.about, "clinic")
        ).allowed
    }
    to_all = {name for name, row in read(OPERATIONS).items() if "-" in row.may}
    assert may == (set() if kind is PrincipalKind.ANONYMOUS else to_all)
