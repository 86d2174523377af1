"""Default deny over MLflow's stores: a method runs only by the rule that a table has for it.

The decision is taken here, on the objects that MLflow has resolved, and not on the raw request,
which two readers may take differently. Every public method of a store is replaced: by one that
identifies → decides → does → records where the table has a rule, by one that refuses where it has
none. A call made by another call belongs to it. A method that writes, all the sessions that
MLflow opens in it, and our record are one transaction.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED, UNAUTHENTICATED
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from strongroom.errors import StrongroomError
from strongroom.faces.mlflow import sqlite_functions
from strongroom.faces.mlflow.caller import (
    Caller,
    OpenCall,
    opened,
    present_call,
    present_caller,
)
from strongroom.faces.mlflow.foreign import Foreign
from strongroom.faces.mlflow.refusals import in_mlflow_terms
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass, Outcome
from strongroom.gate.operation import Admission, Gate

CALLS_PER_MINUTE = 6_000
"""Of one caller and one method: training loops log often."""

SCHEMA = "mlflow"
"""Where MLflow's tables lie on PostgreSQL; on SQLite they lie beside ours."""

Arguments = Mapping[str, Foreign]
EntitiesOf = Callable[[Foreign, Caller, Arguments], Sequence[Entity]]
"""(store, caller, arguments by name) → what the call is about; at least one. Runs inside a read
of the database, where the store's own queries see only the caller's workspace."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one method of a store is decided on and recorded.

    Attributes:
        also: further actions that must be permitted, each with its entities.
        filter: keeps of the result what the caller may see.
    """

    action: str
    entities: EntitiesOf
    audit: AuditClass
    writes: bool = False
    also: tuple[tuple[str, EntitiesOf], ...] = ()
    filter: Callable[[Admission, Caller, Foreign], Foreign] | None = None


def public_methods(store_class: type) -> list[str]:
    """Names of the methods that MLflow's handlers could call on a store of this class."""
    return sorted(
        name
        for name in dir(store_class)
        if not name.startswith("_") and callable(getattr(store_class, name))
    )


def guard(store_class: type, rules: Mapping[str, Rule], harmless: frozenset[str]) -> None:
    """Replace every public method of `store_class`, inherited ones too.

    `rules` go by the name of the method; `harmless` ones touch neither data nor network and are
    left as they are.
    """
    # A rule may also be for a method that is not public, if a handler calls it.
    for name in sorted({*public_methods(store_class), *rules} - harmless):
        method = getattr(store_class, name)
        rule = rules.get(name)
        setattr(store_class, name, _refusing(name) if rule is None else _ruled(name, method, rule))


def _refusing(name: str) -> Callable[..., Foreign]:
    def refuse(self: Foreign, *_: object, **__: object) -> None:
        caller = require_caller()
        with in_mlflow_terms(reading=False):
            caller.trail.recorded = True
            self.house.gate.refuse_undeclared(caller.principal, f"mlflow.{name}", caller.request_id)

    refuse.__name__ = name
    refuse.__strongroom_refuses__ = True  # type: ignore[attr-defined] # read by a test
    return refuse


def _ruled(name: str, method: Callable[..., Foreign], rule: Rule) -> Callable[..., Foreign]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self: Foreign, *args: Foreign, **kwargs: Foreign) -> Foreign:
        if present_call() is not None:
            return method(self, *args, **kwargs)
        caller = require_caller()
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        with in_mlflow_terms(reading=not rule.writes):
            return _perform(self, name, method, rule, caller, bound)

    call.__strongroom_rule__ = rule  # type: ignore[attr-defined] # read by a test
    return call


def _perform(
    store: Foreign,
    name: str,
    method: Callable[..., Foreign],
    rule: Rule,
    caller: Caller,
    bound: inspect.BoundArguments,
) -> Foreign:
    """Decide on a call from outside, run it and record it."""
    gate: Gate = store.house.gate
    (action, entity), *further = _needs(store, rule, caller, bound.arguments)
    caller.trail.recorded = True  # whatever comes of it, from here on the gate records
    with gate.admit(
        caller.principal, name=f"mlflow.{name}", action=action, entity=entity, audit=rule.audit,
        request_id=caller.request_id, per_minute=CALLS_PER_MINUTE,
    ) as admission:  # fmt: skip
        for further_action, further_entity in further:
            admission.require(further_action, further_entity)
        try:
            with _open(admission, caller, writes=rule.writes):
                result = method(*bound.args, **bound.kwargs)
        except MlflowException as error:
            # Rolled back by now. Only the code is recorded: messages quote the caller's input.
            admission.conclude(Outcome.FAILED, f"mlflow: {error.error_code}")
            raise
        return result if rule.filter is None else rule.filter(admission, caller, result)


def _needs(
    store: Foreign,
    rule: Rule,
    caller: Caller,
    arguments: Arguments,
) -> list[tuple[str, Entity]]:
    """What must be permitted, from the arguments and what is stored; without repetitions."""
    # This reading gives the caller nothing: only the parents of the ids given are looked up.
    with (
        store.house.database.read() as session,
        in_mlflow_schema(session),
        opened(OpenCall(caller, None, session, writes=False)),
    ):
        found = [(rule.action, entity) for entity in rule.entities(store, caller, arguments)]
        for action, entities in rule.also:
            found += [(action, entity) for entity in entities(store, caller, arguments)]
    return list({(action, it.type, it.id): (action, it) for action, it in found}.values())


def require_caller() -> Caller:
    """Who is calling.

    Raises: MlflowException where nobody is: a thread that MLflow started by itself, or a way in
        that does not pass the gate.
    """
    caller = present_caller()
    if caller is None or not caller.workspace:
        raise MlflowException("nobody is signed in", UNAUTHENTICATED)
    return caller


@contextmanager
def _open(admission: Admission, caller: Caller, *, writes: bool) -> Iterator[None]:
    """Give the call its session. One that writes is committed together with its record."""
    with (
        admission.transaction() if writes else admission.reading() as session,
        # Our own tables are in sight again before the record is written.
        in_mlflow_schema(session),
        opened(OpenCall(caller, admission, session, writes)),
    ):
        yield


@contextmanager
def in_mlflow_schema(session: Session) -> Iterator[None]:
    """Let the session find MLflow's tables, and its connection behave as their queries expect."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        sqlite_functions.give(connection)
        # MLflow's filters count on LIKE that tells capitals apart; other rooms do not.
        connection.exec_driver_sql("PRAGMA case_sensitive_like = ON")
        try:
            yield
        finally:
            connection.exec_driver_sql("PRAGMA case_sensitive_like = OFF")
    else:
        connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        yield
        connection.execute(text("SET LOCAL search_path TO DEFAULT"))


@contextmanager
def in_our_schema(call: OpenCall) -> Iterator[Session]:
    """The call's session with our own tables in sight, between two pieces of MLflow's work."""
    connection = call.session.connection()
    if connection.dialect.name == "sqlite":
        yield call.session
    else:
        connection.execute(text("SET LOCAL search_path TO DEFAULT"))
        yield call.session
        call.session.flush()
        connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))


@contextmanager
def managed_session(read_only: bool = True) -> Iterator[Session]:  # MLflow's signature
    """What MLflow's stores call `ManagedSessionMaker`: a session within the open call.

    A commit of MLflow's ends a savepoint; all of the call is committed at its end, at once. So
    MLflow reaches the database only from a call that was admitted.
    """
    call = present_call()
    if call is None:
        raise MlflowException("nobody is signed in", UNAUTHENTICATED)
    if not read_only and not call.writes:
        raise MlflowException("this call may only read", PERMISSION_DENIED)
    with Session(
        bind=call.session.connection(), join_transaction_mode="create_savepoint"
    ) as session:
        try:
            yield session
            session.commit()
        except (MlflowException, StrongroomError):
            session.rollback()
            raise
        except OperationalError:
            # What it means (busy, full, damaged) the database says, above.
            raise
        except SQLAlchemyError as error:
            session.rollback()
            # Not the driver's message: it may quote what is stored.
            raise MlflowException("the database does not take this", BAD_REQUEST) from error
