"""Decisions: may this principal do this to that, by the policies and grants in force.

Denied unless a policy permits and none forbids. An unknown action, an entity that does not fit
the schema or an error in any policy denies too, and is logged as a fault of ours.

What decisions rest on is kept in memory as an *era*: the grants read and the decisions made at
one epoch. The epoch is a number in the database that grows in the very transaction that changes
a grant; whoever sees a newer one starts a new era. It is looked at before a decision when the
last look is older than `cache_seconds`, and whenever the gate reads it for a call, so a change
is felt at once where it was made and within `cache_seconds` everywhere (ADR 0013).

Grants count only with their seal (`grants.Grants`). Whose rows do not verify holds nothing, and
the server's log has the line `standing_tampered`; the log of entries has it once.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from cedarpy import Entities, is_authorized
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from strongroom.errors import TamperedError
from strongroom.gate.access.grants import Grants, Standing
from strongroom.gate.access.policy_set import SlicedPolicies
from strongroom.gate.access.roles import OPERATOR, WORKSPACE_ROLES
from strongroom.gate.access.tables import PolicyEpochRow
from strongroom.gate.access.types import CedarValue, Decision, Entity, Principal, PrincipalKind
from strongroom.vault.database import Database

MAX_DECISIONS = 50_000
MAX_PRINCIPALS = 10_000
MAX_ENTITIES = 5_000
"""Parsed resources with their principals: most are asked about for several actions in a row."""
MAX_SHAPES = 1_000

_CEDAR_TYPES = {PrincipalKind.PERSON: "Person", PrincipalKind.SERVICE: "Service"}
_NOBODY = Decision(allowed=False)
_NOTHING = Standing(frozenset(), suspended=True)
"""The standing of those whose rows were changed outside the server: not even one's own account."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Era:
    """What was read and decided at one epoch; thrown away whole when the epoch grows."""

    epoch: int
    standings: dict[str, Standing] = field(default_factory=dict)
    bases: dict[tuple[str, str, str | None], Entities] = field(default_factory=dict)
    entities: dict[tuple[object, ...], Entities] = field(default_factory=dict)
    decisions: dict[tuple[str, tuple[object, ...]], Decision] = field(default_factory=dict)


class Access:
    """Decides by Cedar, holding parsed what does not change between two epochs."""

    def __init__(
        self,
        database: Database,
        grants: Grants,
        *,
        cache_seconds: float = 1.0,
        policies: SlicedPolicies | None = None,
        clock: Callable[[], float] = time.monotonic,
        alarm: Callable[[str, str, str], None] | None = None,
    ) -> None:
        """Parse the policies; nothing is read from the database yet.

        Args:
            database: holds grants, suspensions and the epoch.
            grants: reads them and verifies their seals.
            cache_seconds: how long the epoch is believed without looking again, >= 0.
            policies: others than the built-in ones.
            clock: seconds that never go back.
            alarm: told (kind, subject, reason) of what was found changed, each time.
        """
        self.policies = policies or SlicedPolicies.built_in()
        self._grants = grants
        self._database = database
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._alarm = alarm
        self._era = _Era(-1)
        self._numbers: dict[str, tuple[int, int]] = {}
        self._believed_until = float("-inf")
        self._lock = threading.Lock()
        self._shapes: set[tuple[object, ...]] = set()

    def epoch(self, session: Session) -> int:
        """The epoch as `session` sees it; grows with each change of a grant or policy."""
        epoch = session.scalar(select(PolicyEpochRow.epoch)) or 0
        if epoch > self._era.epoch:
            # `session` may be a transaction that is not committed, so the era is not begun from
            # it: the next decision looks for itself, and so does the first after the commit.
            self._doubt(session)
            event.listen(session, "after_commit", self._doubt, once=True)
        return epoch

    def decide(self, principal: Principal, action: str, resource: Entity) -> Decision:
        """The decision of the policies in force; never raises for a refusal."""
        era = self._current()
        attributes = resource.attributes
        about: tuple[object, ...] = (
            principal.id, principal.kind, resource.type, resource.id, resource.workspace,
        )  # fmt: skip
        if attributes:
            # True == 1 in Python, not in Cedar: the types belong to the key.
            about += (tuple(attributes.items()), tuple(map(type, attributes.values())))
        key = (action, about)
        decision = era.decisions.get(key)
        if decision is not None:
            return decision
        era, standing = self._standing(era, principal.id)
        decision = self._evaluate(era, standing, about, principal, action, resource)
        if len(era.decisions) >= MAX_DECISIONS:
            era.decisions.clear()
        era.decisions[key] = decision
        return decision

    def _doubt(self, _session: Session) -> None:
        """Look at the epoch before the next decision."""
        self._believed_until = float("-inf")

    def _current(self) -> _Era:
        """The era in force, after a look at the epoch unless the last one was just now."""
        now = self._clock()
        if now < self._believed_until:
            return self._era
        with self._database.read() as session:
            epoch = session.scalar(select(PolicyEpochRow.epoch)) or 0
        return self._advance(epoch, now)

    def _advance(self, epoch: int, looked_at: float) -> _Era:
        """Begin a new era if `epoch`, read from committed rows at `looked_at`, is newer."""
        with self._lock:
            if epoch > self._era.epoch:
                self._era = _Era(epoch)
            self._believed_until = max(self._believed_until, looked_at + self._cache_seconds)
            return self._era

    def _standing(self, era: _Era, principal: str) -> tuple[_Era, Standing]:
        """What `principal` holds, and the era of that: a newer one than `era` at times."""
        while True:
            known = era.standings.get(principal)
            if known is not None:
                return era, known
            now, begun = self._clock(), self._era.epoch
            with self._database.read() as session:
                # One snapshot: what is read here belongs to this epoch and no other.
                epoch = session.scalar(select(PolicyEpochRow.epoch)) or 0
                standing = self._verified(session, principal)
            if epoch < begun:
                # Committed epochs never shrink: the database, or this row, is an older one.
                self._tampered(principal, "the epoch went back")
                return self._era, _NOTHING
            if epoch != era.epoch:
                era = self._advance(epoch, now)
            if epoch == era.epoch:
                if len(era.standings) >= MAX_PRINCIPALS:
                    era.standings.clear()
                    era.bases.clear()
                era.standings[principal] = self._newest(principal, epoch, standing)

    def _verified(self, session: Session, principal: str) -> Standing:
        try:
            return self._grants.standing(session, principal)
        except TamperedError:
            self._tampered(principal, "the seal does not fit")
            return _NOTHING

    def _tampered(self, principal: str, reason: str) -> None:
        _log.error("standing_tampered", principal=principal, reason=reason)
        if self._alarm is not None:
            self._alarm("standing", principal, reason)

    def _newest(self, principal: str, epoch: int, standing: Standing) -> Standing:
        """`standing`, or nothing if this process has seen a later one at an earlier epoch.

        Old rows put back together with their old seal verify; the number in the seal tells.
        """
        if standing is _NOTHING:
            return standing
        with self._lock:
            seen_at, number = self._numbers.get(principal, (0, 0))
            if epoch < seen_at:
                return standing
            if standing.number >= number:
                if len(self._numbers) >= MAX_PRINCIPALS:
                    self._numbers.clear()
                self._numbers[principal] = (epoch, standing.number)
                return standing
        self._tampered(principal, "the seal is an old one")
        return _NOTHING

    def _evaluate(
        self,
        era: _Era,
        standing: Standing,
        about: tuple[object, ...],
        principal: Principal,
        action: str,
        resource: Entity,
    ) -> Decision:
        kind = _CEDAR_TYPES.get(principal.kind)
        policies = self.policies.slices.get(action)
        if kind is None:
            return _NOBODY
        if policies is None:
            return _faulty(action, resource, f"the action `{action}` is not declared")
        entities = era.entities.get(about)
        if entities is None:
            try:
                entities = self._entities(era, standing, principal, kind, resource)
            except ValueError as error:
                return _faulty(action, resource, f"the entity does not fit the schema: {error}")
            if len(era.entities) >= MAX_ENTITIES:
                era.entities.clear()
            era.entities[about] = entities
        request = {
            "principal": _uid(kind, principal.id),
            "action": _uid("Action", action),
            "resource": _uid(resource.type, resource.id),
        }
        result = is_authorized(request, policies, entities, self.policies.schema)
        found = result.diagnostics
        if found.errors:
            return _faulty(action, resource, *found.errors)
        return Decision(result.allowed, tuple(sorted(found.id_annotations_by_reason.values())))

    def _entities(
        self, era: _Era, standing: Standing, principal: Principal, kind: str, resource: Entity
    ) -> Entities:
        """The principal below its roles, the workspace (or server), and the resource in it.

        Raises:
            ValueError: an attribute is not in the schema.
        """
        key = (principal.id, kind, resource.workspace)
        base = era.bases.get(key)
        if base is None:
            document = _encode(_base(standing, principal.id, kind, resource.workspace))
            Entities.from_json_str(document, self.policies.schema)
            # Held without the schema: with it come the entities of all actions, and each decision
            # would copy them.
            base = Entities.from_json_str(document)
            if len(era.bases) >= MAX_PRINCIPALS:
                era.bases.clear()
            era.bases[key] = base
        place = _place(resource.workspace)
        if place == (resource.type, resource.id):
            if resource.attributes:
                raise ValueError(f"a {resource.type} has no attributes but the gate's own")
            return base
        delta = _encode([_resource(resource, place)])
        self._check_shape(resource, delta)
        return base.with_added_json_str(delta)

    def _check_shape(self, resource: Entity, document: str) -> None:
        """Check the resource against the schema, once for each type with these attributes.

        Values do not matter to the schema, only their names and types do.

        Raises:
            ValueError: the type is not in the schema, or has not such an attribute.
        """
        attributes = resource.attributes
        shape = (
            resource.type, resource.workspace is None, frozenset(attributes),
            tuple(type(attributes[name]) for name in sorted(attributes)),
        )  # fmt: skip
        if shape not in self._shapes:
            Entities.from_json_str(document, self.policies.schema)
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            self._shapes.add(shape)


def _encode(entities: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(entities).decode()


def _resource(resource: Entity, place: tuple[str, str]) -> dict[str, Any]:
    """A resource as Cedar's JSON; what it lies in is the gate's to say, and overrules."""
    return {
        "uid": _uid(resource.type, resource.id),
        "attrs": {**_attributes(resource.attributes), place[0].lower(): _reference(*place)},
        "parents": [_uid(*place)] if resource.workspace is not None else [],
    }


def _place(workspace: str | None) -> tuple[str, str]:
    """Type and id of the entity that a resource lies in.

    Raises:
        ValueError: an empty name, which in the table of grants would mean the server.
    """
    if workspace is None:
        return "Server", "server"
    if not workspace:
        raise ValueError("a workspace has a name")
    return "Workspace", workspace


def _base(
    standing: Standing, principal: str, kind: str, workspace: str | None
) -> list[dict[str, Any]]:
    """Principal and workspace (or server) as Cedar's JSON, with the roles held there."""
    place = workspace or ""
    roles = (OPERATOR,) if workspace is None else WORKSPACE_ROLES
    held = [role for role in roles if (place, role.id) in standing.grants]
    return [
        {
            "uid": _uid(kind, principal),
            "attrs": {"id": principal, "suspended": standing.suspended},
            "parents": [_uid("Role", role.entity_id(place)) for role in held],
        },
        {
            "uid": _uid(*_place(workspace)),
            "attrs": {
                _place(workspace)[0].lower(): _reference(*_place(workspace)),
                **{role.attribute: _reference("Role", role.entity_id(place)) for role in roles},
            },
            "parents": [],
        },
    ]


def _uid(kind: str, identifier: str) -> dict[str, str]:
    return {"type": kind, "id": identifier}


def _reference(kind: str, identifier: str) -> dict[str, dict[str, str]]:
    return {"__entity": _uid(kind, identifier)}


def _attributes(attributes: Mapping[str, CedarValue]) -> dict[str, Any]:
    """As Cedar's JSON. Text, numbers and booleans stand for themselves, tuples for sets."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
    }


def _faulty(action: str, resource: Entity, *errors: str) -> Decision:
    """Denied because something of ours does not fit; a person must see it in the server's log."""
    _log.warning("decision_fault", action=action, resource_type=resource.type, errors=list(errors))
    return Decision(allowed=False, errors=errors)
