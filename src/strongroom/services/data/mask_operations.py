"""Verbs on masks: the policy of a dataset, and what its tokens stand for."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.engines.privacy.mask.hiding import normal
from strongroom.engines.privacy.mask.policy_file import MAX_POLICY_CHARACTERS
from strongroom.errors import ValidationError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import listed_in, text_of
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.policies import DatasetPolicy
from strongroom.services.data.tokens import (
    Drawer,
    digest_of_tokens,
    ensure_workspace_key,
    forget_others,
)
from strongroom.services.data.types import (
    ClassifyColumn,
    DatasetReference,
    ForgetTokens,
    ForgottenBy,
    PolicyShown,
    Revealed,
    RevealedToken,
    RevealTokens,
    SetPolicy,
    TokensForgotten,
    UnsetPolicy,
)
from strongroom.vault.keys import Keyring

_MAX_POLICY_BYTES = 4 * MAX_POLICY_CHARACTERS
_REVEALS_PER_MINUTE = 10
MAX_FORGOTTEN = 1_000
"""Values or tokens in one call."""
_MAX_FORGOTTEN_BYTES = 4 << 20


def dataset_entity(
    _room: object,
    _session: Session,
    request: DatasetReference | ClassifyColumn | SetPolicy | ForgetTokens,
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
            found = self._catalog.drawer(session, held).reveal(session, tokens)
        unknown = sum(turned is None for turned in found)
        forgotten = sum(turned is not None and turned.is_forgotten for turned in found)
        call.note(
            version=held.row.version, purpose=held.row.purpose, reason=request.reason.strip(),
            tokens=len(tokens), revealed=len(tokens) - unknown - forgotten, forgotten=forgotten,
            tokens_digest=digest_of_tokens(tokens),
        )  # fmt: skip
        return Revealed(
            revealed=[
                RevealedToken(
                    token=token,
                    value=None if turned is None else turned.value,
                    forgotten=turned is not None and turned.is_forgotten,
                )
                for token, turned in zip(tokens, found, strict=True)
            ],
            unknown=unknown,
            forgotten=forgotten,
        )

    @operation(
        "data.forget_tokens",
        action="forgetTokens",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/forget-tokens"),
        command=Command("data forget-tokens", positional=("name",), body="file", confirm="name"),
        body=Body.STREAM,
        limits=Limits(body_bytes=_MAX_FORGOTTEN_BYTES, per_minute=_REVEALS_PER_MINUTE),
    )
    def forget_tokens(self, call: Call, request: ForgetTokens) -> TokensForgotten:
        """Forget what tokens stand for: nothing turns these back again.

        The body lists the values of a subject, or tokens, one a line or as a JSON list of strings:
        at most 1,000. Tokens of all versions of the dataset are looked at, and of every dataset
        that shares a purpose with it, under every policy it had. Values are compared whole, but
        for spaces around them. Remove the subject's rows first: while they are there, the next
        masked read draws new tokens. The record says how many were named and forgotten; it holds
        no value and no digest of one.
        """
        if not request.reason.strip():
            raise ValidationError("a reason is needed")
        text = text_of(call, _MAX_FORGOTTEN_BYTES, "list of what to forget")
        named = listed_in(text, MAX_FORGOTTEN, request.by.value)
        with call.reading() as session:
            # All rows are looked at, which takes long: nobody else's writing waits for that.
            dataset = self._catalog.find(session, request.workspace, request.name, 0).dataset
            found: list[tuple[Drawer, dict[bytes, str]]] = []
            for drawer in self._catalog.drawers(session, dataset):
                is_by_value = request.by is ForgottenBy.VALUES
                look = drawer.with_values if is_by_value else drawer.with_tokens
                found.append((drawer, look(session, named)))
        with call.transaction() as session:
            forgotten = sum(drawer.forget(session, lookups) for drawer, lookups in found)
            orphaned = forget_others(
                session, dataset.id, [drawer.name for drawer, _ in found],
                None if request.by is ForgottenBy.VALUES else named,
            )  # fmt: skip
            met = {normal(one) for _, lookups in found for one in lookups.values()}
            unknown = sum(normal(one) not in met for one in named)
            call.note(
                reason=request.reason.strip(), by=request.by.value, named=len(named),
                forgotten=forgotten, unknown=unknown, orphaned=orphaned,
            )  # fmt: skip
        # A crash before the commit forgets nothing, after it all of these.
        return TokensForgotten(
            name=request.name, forgotten=forgotten, unknown=unknown, orphaned=orphaned
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
