"""The rules of workspaces, kept sealed, and noted in the journal of sealed changes.

The journal says which rules are in force, or that none were ever set: a row that is taken away,
changed, or put back from an older day in the database admits nothing, it stops approvals.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import TamperedError, ValidationError
from strongroom.services.models.promotion_rules import (
    DEFAULT_TEXT,
    FORMER_TEXT,
    Rules,
    parse_rules,
)
from strongroom.services.models.tables import ModelPolicyRow
from strongroom.vault.keys import Keyring

KIND = "model policy"
"""Of the changes of a workspace's rules, in the journal of sealed changes."""

_PURPOSE = "model policy"


@dataclass(frozen=True, slots=True)
class WorkspaceRules:
    """The rules of a workspace; `set_by` and `set_at` are None where nobody has set any."""

    rules: Rules
    set_by: str | None = None
    set_at: datetime | None = None


class PromotionPolicies:
    """Rows of rules."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, session: Session, workspace: str) -> WorkspaceRules:
        """The rules in force.

        Raises:
            TamperedError: the row is not the one that was written last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        row = session.get(ModelPolicyRow, workspace)
        seals = self._keyring.seals
        if row is None:
            if seals.latest(session, KIND, workspace) is not None:
                raise TamperedError("the rules of promotion of the workspace were taken away")
            return WorkspaceRules(_parsed(FORMER_TEXT))
        if not isinstance(row.rules, bytes):
            raise TamperedError("rules of promotion are not of this form")
        seals.require(session, KIND, workspace, sha256(row.rules).hexdigest())
        key = self._keyring.object_key(
            session, workspace, workspace, row.rules_key, row.rules_key_version, purpose=_PURPOSE
        )
        text = b"".join(open_stream(key, _context(workspace), [row.rules])).decode()
        return WorkspaceRules(_parsed(text), row.set_by, row.set_at)

    def begin(self, session: Session, workspace: str, *, by: str, now: datetime) -> None:
        """Give a new workspace the rules that new ones begin with."""
        self.set(session, workspace, DEFAULT_TEXT, by=by, now=now)

    def set(
        self, session: Session, workspace: str, text: str, *, by: str, now: datetime
    ) -> WorkspaceRules:
        """Put rules in force, from the commit on, in place of those there were.

        Raises:
            ValidationError: they cannot be read.
        """
        rules = parse_rules(text)
        key = self._keyring.new_object_key(session, workspace, workspace, purpose=_PURPOSE)
        sealed = b"".join(seal_stream(key.key, _context(workspace), [text.encode()]))
        session.merge(
            ModelPolicyRow(
                workspace=workspace, rules=sealed, rules_key=key.wrapped,
                rules_key_version=key.kek_version, set_by=by, set_at=now,
            )
        )  # fmt: skip
        session.flush()
        self._keyring.seals.record(session, KIND, workspace, sha256(sealed).hexdigest())
        return WorkspaceRules(rules, by, now)

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the key of the rules to the workspace's newest key; how many changed."""
        row = session.get(ModelPolicyRow, workspace)
        if row is None:
            return 0
        held = [(workspace, row.rules_key, row.rules_key_version)]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for _, wrapped, version in changed:
            row.rules_key, row.rules_key_version = wrapped, version
        session.flush()
        return len(changed)


def _context(workspace: str) -> bytes:
    return bind("strongroom model policy", 1, workspace)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Rules:
    try:
        return parse_rules(text)
    except ValidationError as error:
        # They could be read when they were set.
        raise TamperedError(
            f"the rules of promotion cannot be read any more: {error.message}",
            next_step="set the rules of the workspace anew",
        ) from None
