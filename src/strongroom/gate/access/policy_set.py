"""Policies, parsed once: checked against the schema and sliced by action.

A slice holds the policies that could match one action, so a decision evaluates those only. A
policy is left out of a slice only when its scope names actions and none of them is this one, in
which case Cedar would not find it satisfied either: slicing never changes a decision (tested on
Cedar's own integration tests).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from cedarpy import PolicySet, Schema, pst, validate_policies

from strongroom.errors import InternalError

_ACTION = re.compile(r'^action ((?:"[^"\\]+"(?:, )?)+) (appliesTo|in)\b', re.MULTILINE)


def slice_by_action(policies: PolicySet, actions: frozenset[str]) -> dict[str, PolicySet]:
    """For each of `actions` the policies whose scope admits it. Action groups are not known.

    Raises:
        InternalError: the set has templates, which nobody here links.
    """
    nodes = policies.to_pst()
    if nodes.templates or nodes.template_links:
        raise InternalError("policy templates are not used: a grant is a parent, not a policy")
    slices = {}
    for action in actions:
        kept = {
            key: policy
            for key, policy in nodes.static_policies.items()
            if _admits(policy.action, action)
        }
        slices[action] = PolicySet.from_pst(pst.PolicySet({}, kept, ()))
    return slices


def _admits(scope: pst.ActionConstraint, action: str) -> bool:
    match scope:
        case pst.ScopeAny():
            return True
        case pst.ActionEq(entity):
            return entity.id == action
        case pst.ActionIn(entities):
            return any(entity.id == action for entity in entities)


@dataclass(frozen=True, slots=True)
class SlicedPolicies:
    """Policies in force.

    Attributes:
        schema: entity types, their attributes, and the actions with what they apply to.
        slices: for each declared action, the policies that could match it.
        ids: the `@id` of every policy.
    """

    schema: Schema
    slices: Mapping[str, PolicySet]
    ids: frozenset[str]

    @classmethod
    def parse(cls, schema_text: str, policy_text: str) -> Self:
        """Parse and check.

        Raises:
            InternalError: not well-formed, against the schema, or a policy without its own `@id`.
        """
        try:
            schema = Schema.from_str(schema_text)
            policies = PolicySet.from_str(policy_text)
            nodes = policies.to_pst()
        except ValueError as error:
            raise InternalError(f"the policies or their schema cannot be read: {error}") from error
        result = validate_policies(policy_text, schema_text)
        if not result:
            named = result.id_annotations_by_policy_id
            faults = "; ".join(
                f"{named.get(fault.policy_id, fault.policy_id)}: {fault.error}"
                for fault in result.errors
            )
            raise InternalError(f"the policies do not fit the schema: {faults}")
        ids = [policy.annotations.get("id", "") for policy in nodes.static_policies.values()]
        if "" in ids or len(set(ids)) < len(ids):
            raise InternalError("every policy needs an @id of its own")
        actions = declared_actions(schema)
        return cls(schema, slice_by_action(policies, actions), frozenset(ids))

    @property
    def actions(self) -> frozenset[str]:
        """Every declared action."""
        return frozenset(self.slices)

    @classmethod
    def built_in(cls) -> "SlicedPolicies":
        """The built-in roles over the schema of all rooms, read once in a process."""
        return _built_in()


@cache
def _built_in() -> SlicedPolicies:
    return SlicedPolicies.parse(schema_text(), policy_text())


def declared_actions(schema: Schema) -> frozenset[str]:
    """The actions of a schema.

    Raises:
        InternalError: one of them is in an action group, which slices would not follow.
    """
    # `str` of a schema is its canonical form, one way to write each thing.
    found: set[str] = set()
    for names, then in _ACTION.findall(str(schema)):
        if then == "in":
            raise InternalError(f"action groups are not used, but {names} is in one")
        found.update(re.findall(r'"([^"]+)"', names))
    return frozenset(found)


def schema_text() -> str:
    """The schema: the `actions.cedarschema` of every room, one after the other."""
    package = Path(__file__).resolve().parents[2]
    return "\n".join(file.read_text("utf-8") for file in sorted(package.rglob("*.cedarschema")))


def policy_text() -> str:
    """The built-in roles: the files in `policies/`, one after the other."""
    folder = Path(__file__).resolve().parent / "policies"
    return "\n".join(file.read_text("utf-8") for file in sorted(folder.glob("*.cedar")))
