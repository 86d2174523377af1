"""Verbs on masks: the policy of a dataset, and what its tokens stand for."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.engines.privacy.mask.policy_file import MAX_POLICY_CHARACTERS
from strongroom.errors import ValidationError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.policies import DatasetPolicy
from strongroom.services.data.tokens import digest_of_tokens, ensure_workspace_key
from strongroom.services.data.types import (
    ClassifyColumn,
    DatasetReference,
    PolicyShown,
    Revealed,
    RevealedToken,
    RevealTokens,
    SetPolicy,
    UnsetPolicy,
)
from strongroom.vault.keys import Keyring

_MAX_POLICY_BYTES = 4 * MAX_POLICY_CHARACTERS
_REVEALS_PER_MINUTE = 10


def dataset_entity(
    _room: object, _session: Session, request: DatasetReference | ClassifyColumn | SetPolicy
) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


class MaskOperations:
    """The part of the room of datasets that is about masks."""

    def __init__(self, catalog: Catalog, keyring: Keyring, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._keyring = keyring
        self._now = now

    @operation(
        "data.policy",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/policy"),
        command=Command("data policy", positional=("name",)),
    )
    def policy(self, call: Call, request: DatasetReference) -> PolicyShown:
        """Show the mask policy of a dataset: its own, or the default."""
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
        return _shown(request.name, held.policy)

    @operation(
        "data.set_policy",
        action="setMaskPolicy",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/policy"),
        command=Command("data set-policy", positional=("name",), body="file"),
        body=Body.STREAM,
        limits=Limits(body_bytes=_MAX_POLICY_BYTES),
    )
    def set_policy(self, call: Call, request: SetPolicy) -> PolicyShown:
        """Set the mask policy of a dataset; masked views of every version obey it at once.

        The body is TOML, as docs/privacy.md describes it. A policy with a mistake changes
        nothing.
        """
        text = text_of(call, _MAX_POLICY_BYTES, "mask policy")
        with call.transaction() as session:
            held = self._catalog.find(session, request.workspace, request.name, 0)
            ensure_workspace_key(session, self._keyring, request.workspace)
            policy = self._catalog.policies.set(
                session, held.dataset, text, by=call.principal.id, now=self._now()
            )
            call.note(before=held.policy.digest, after=policy.digest, link=policy.policy.link.value)
        # From the commit on every masked read, in any process, follows the new policy.
        return _shown(request.name, policy)

    @operation(
        "data.unset_policy",
        action="setMaskPolicy",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("DELETE", "/workspaces/{workspace}/data/{name}/policy"),
        command=Command("data unset-policy", positional=("name",), confirm="name"),
    )
    def unset_policy(self, call: Call, request: UnsetPolicy) -> PolicyShown:
        """Give a dataset the default mask policy again."""
        with call.transaction() as session:
            held = self._catalog.find(session, request.workspace, request.name, 0)
            self._catalog.policies.unset(session, held.dataset)
            policy = self._catalog.policies.of(session, held.dataset)
            call.note(before=held.policy.digest, after=policy.digest, link=policy.policy.link.value)
        return _shown(request.name, policy)

    @operation(
        "data.reveal",
        action="revealTokens",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/reveal"),
        command=Command("data reveal", positional=("name",)),
        limits=Limits(per_minute=_REVEALS_PER_MINUTE),
    )
    def reveal(self, call: Call, request: RevealTokens) -> Revealed:
        """Turn tokens of a masked view back into the values that they stand for.

        The tokens are those of one version's purpose and uploader, by default the newest's. The
        record says how many were asked for and found, a digest of them, and your reason; it
        holds no value.
        """
        if not request.reason.strip():
            raise ValidationError("a reason is needed")
        tokens = [token.strip() for token in request.tokens]
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            values = self._catalog.drawer(session, held).reveal(session, tokens)
        unknown = sum(value is None for value in values)
        call.note(
            version=held.row.version, purpose=held.row.purpose, reason=request.reason.strip(),
            tokens=len(tokens), revealed=len(tokens) - unknown,
            tokens_digest=digest_of_tokens(tokens),
        )  # fmt: skip
        return Revealed(
            revealed=[
                RevealedToken(token=token, value=value)
                for token, value in zip(tokens, values, strict=True)
            ],
            unknown=unknown,
        )


def _shown(name: str, policy: DatasetPolicy) -> PolicyShown:
    return PolicyShown(
        name=name,
        is_default=policy.set_by is None,
        link=policy.policy.link.value,
        digest=policy.digest,
        set_by=policy.set_by,
        set_at=policy.set_at,
        text=policy.text,
    )
