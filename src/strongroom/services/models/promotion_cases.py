"""What is known of a version where somebody asks whether it may be admitted."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import TamperedError, ValidationError
from strongroom.gate.access.grants import Grants
from strongroom.services.models.assessment_plans import AssessmentPlans
from strongroom.services.models.assessment_standing import newest, standing
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.promotion import Approver, Assessed, Case, counts
from strongroom.services.models.promotion_policies import PromotionPolicies
from strongroom.services.models.promotion_rules import Rules
from strongroom.services.models.registry import Registry
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelEntryRow
from strongroom.vault.keys import Keyring


@dataclass(frozen=True, slots=True)
class Ground:
    """What all cases of a workspace rest on: its rules, and the key that signs."""

    rules: Rules
    key: VerifyingKey


@dataclass(frozen=True, slots=True)
class OpenCase:
    """The case of a version, with the rules in force and what was signed before."""

    rules: Rules
    case: Case
    earlier: list[Mapping[str, Any]]


class PromotionCases:
    """Gathers cases."""

    def __init__(
        self, keyring: Keyring, keys: ModelKeys, registry: Registry, policies: PromotionPolicies,
        decisions: Decisions,
    ) -> None:  # fmt: skip
        self._grants = Grants(keyring.secret("grants"), keyring.seals)
        self._keys = keys
        self._registry = registry
        self._policies = policies
        self._decisions = decisions
        self._plans = AssessmentPlans(keyring)

    def ground(self, session: Session, workspace: str) -> Ground:
        """For `open`, read once for many versions. Raises as `open`."""
        rules = self._policies.of(session, workspace).rules
        return Ground(rules, self._keys.verifying_key(session))

    def open(self, session: Session, row: ModelEntryRow, ground: Ground | None = None) -> OpenCase:
        """The case of a version whose signature was verified.

        Approvals under other rules, of other bytes, or of people who may not approve any more do
        not count.

        Raises:
            TamperedError: rules, decisions or provenance are not as they were left.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        ground = ground or self.ground(session, row.workspace)
        rules, key = ground.rules, ground.key.key_id
        bare = Case(
            verdict=row.verdict, reason=row.reason, signed_by=key, home_key=key,
            own=self._registry.registrants(session, row),
            sources=self._registry.sources(session, row),
            assessments=self._assessed(session, row, rules),
        )  # fmt: skip
        given = self._decisions.partial_approvals(session, row, rules.digest, ground.key)
        approved, earlier = [], []
        for approver, said in given:
            roles = self.roles(session, approver.id, row.workspace)
            one = Approver(
                id=approver.id, is_person=True, roles=roles,
                accepts_findings=approver.accepts_findings, purpose=approver.purpose,
            )  # fmt: skip
            if counts(rules, bare, one):
                approved.append(one)
                earlier.append(said)
        case = Case(
            verdict=bare.verdict, reason=bare.reason, signed_by=bare.signed_by,
            home_key=bare.home_key, own=bare.own, sources=bare.sources, approved=approved,
            assessments=bare.assessments,
        )  # fmt: skip
        return OpenCase(rules, case, earlier)

    def _assessed(
        self, session: Session, row: ModelEntryRow, rules: Rules
    ) -> Mapping[str, Assessed]:
        """The newest assessment of each kind that the rules ask for, under the plan in force."""
        if not rules.assessments:
            return {}
        plans = {}
        for rule in rules.assessments:
            with suppress(ValidationError):  # nobody has set such a plan: nothing meets the rule
                plans[rule.kind] = self._plans.of(session, row.workspace, rule.kind).plan.digest
        return newest(standing(session, self._decisions, self._keys, row), plans)

    def roles(self, session: Session, principal: str, workspace: str) -> frozenset[str]:
        """Ids of the roles that somebody holds in a workspace; none if suspended or not sealed."""
        try:
            standing = self._grants.standing(session, principal)
        except TamperedError:
            return frozenset()
        if standing.suspended:
            return frozenset()
        return frozenset(role for place, role in standing.grants if place == workspace)
