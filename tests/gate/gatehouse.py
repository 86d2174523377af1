"""A gate with everything real behind it: database, keyring, log, policies, sign-in."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.gate.access.decider import Access
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.roles import OPERATOR, workspace_role
from strongroom.gate.access.tables import SERVER_WIDE
from strongroom.gate.access.types import Principal, PrincipalKind
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.reading import Filters
from strongroom.gate.audit.types import Event
from strongroom.gate.declaration import operations_of
from strongroom.gate.identity.accounts import Accounts, create_account
from strongroom.gate.identity.issuing import Issuer
from strongroom.gate.identity.operations import IdentityOperations
from strongroom.gate.identity.sign_in import SignIn
from strongroom.gate.operation import Answer, Gate
from strongroom.gate.repairing import Repairs
from strongroom.gate.workspaces.operations import WorkspaceOperations
from strongroom.gate.workspaces.tables import WorkspaceRow
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

PEPPER = hashlib.sha256(b"pepper of the tests").digest()
API_KEY_DAYS = 90


@dataclass
class Clock:
    """Seconds since 1970 that pass as told."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass
class Gatehouse:
    """What the tests of the gate work with."""

    database: Database
    keyring: Keyring
    log: AuditLog
    grants: Grants
    access: Access
    gate: Gate
    issuer: Issuer
    sign_in: SignIn
    workspaces: WorkspaceOperations
    identity: IdentityOperations
    clock: Clock

    def person(self, name: str, *roles: str, workspace: str = "clinic") -> Principal:
        """A person holding `roles` in `workspace`; `Operator` is held on the server."""
        return self.account(name, *roles, workspace=workspace)

    def account(
        self,
        name: str,
        *roles: str,
        workspace: str = "clinic",
        kind: PrincipalKind = PrincipalKind.PERSON,
    ) -> Principal:
        """A person or service identity holding `roles`."""
        now = datetime.fromtimestamp(self.clock.now, UTC)
        with self.database.write() as session:
            row = create_account(session, name, kind, by="", now=now, random=self.issuer.random)
            for role in roles:
                chosen = OPERATOR if role == "Operator" else workspace_role(role)
                place = SERVER_WIDE if chosen == OPERATOR else workspace
                self.grants.grant(session, row.id, chosen, place, by=row.id, now=now)
        return Principal(kind, row.id, name)

    def claim(self, principal: Principal) -> str:
        """The code of the principal's claim, made here where there is none."""
        with self.database.write() as session:
            self.issuer.claim_here(session, principal.id)
            return Accounts().claim(session, principal.id)

    def workspace(self, name: str) -> None:
        """A workspace with nobody in it."""
        now = datetime.fromtimestamp(self.clock.now, UTC)
        with self.database.write() as session:
            session.add(WorkspaceRow(name=name, description="", created_by="", created_at=now))

    def grant(self, principal: Principal, role: str, workspace: str = "clinic") -> None:
        """Another role for `principal`."""
        with self.database.write() as session:
            self.grants.grant(
                session, principal.id, workspace_role(role), workspace, by="", now=datetime.now(UTC)
            )

    def revoke(self, principal: Principal, role: str, workspace: str = "clinic") -> None:
        """A role less for `principal`."""
        with self.database.write() as session:
            self.grants.revoke(session, principal.id, workspace_role(role), workspace)

    def call(self, principal: Principal, name: str, request: BaseModel) -> Answer:
        """Perform an operation of identity or workspaces through the gate."""
        bound = next(
            bound
            for room in (self.identity, self.workspaces)
            for bound in operations_of(room)
            if bound.declared.name == name
        )
        return self.gate.perform(bound, principal, request)

    def events(self) -> list[Event]:
        """All that was recorded, the oldest first."""
        with self.database.read() as session:
            found = self.log.search(session, Filters(), limit=500)
        return [logged.event for logged in sorted(found, key=lambda logged: logged.index)]


@contextmanager
def gatehouse(database: Database, *, calls_per_minute: int = 100_000) -> Iterator[Gatehouse]:
    """A gate over `database`."""
    private = Ed25519PrivateKey.from_private_bytes(PEPPER)
    key = LogKey("log.example/tests", private.public_key().public_bytes_raw())
    clock = Clock()
    keyring = Keyring(LocalRoot(PEPPER))
    with AuditLog(database, payload_key=bytes(32), key=key, sign=private.sign, clock=clock) as log:
        grants = Grants(keyring.secret("grants"), keyring.seals)
        access = Access(database, grants, cache_seconds=1.0)
        issuer = Issuer(PEPPER, clock, seals=keyring.seals)
        sign_in = SignIn(database, log, issuer, grants, cache_seconds=1.0, session_hours=8)
        yield Gatehouse(
            database=database,
            keyring=keyring,
            log=log,
            grants=grants,
            access=access,
            gate=Gate(database, access, log, calls_per_minute=calls_per_minute, clock=clock),
            issuer=issuer,
            sign_in=sign_in,
            workspaces=WorkspaceOperations(
                access,
                grants,
                Accounts(keyring.seals),
                keyring.create_workspace_key,
                actions=access.policies.actions,
                repairs=Repairs(log, grants, keyring),
                log=log,
                clock=clock,
            ),
            identity=IdentityOperations(
                sign_in,
                issuer,
                grants,
                api_key_days=API_KEY_DAYS,
                link_minutes=10,
                invitation_hours=72,
            ),
            clock=clock,
        )
