"""Verbs on the key of a workspace: what makes its data readable, for a time or for good."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.gate.workspaces.types import WorkspaceName
from strongroom.vault.keys import KeyInfo, Keyring

Rewrap = Callable[[Session, str], int]
"""(session, workspace): bring a room's object keys under the newest version; how many changed."""


class KeyReference(BaseModel):
    """The key of one workspace."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workspace: WorkspaceName


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyVersion(_Answer):
    """One version of a workspace's key; the key itself is never shown."""

    version: int
    state: Literal["enabled", "disabled", "destroyed"]
    created_at: datetime


class WorkspaceKey(_Answer):
    """All versions of a workspace's key, oldest first; the last one wraps what is new."""

    workspace: str
    versions: list[KeyVersion]


class Rotated(WorkspaceKey):
    """A key after its rotation."""

    rewrapped: int = Field(description="object keys brought under the new version; data untouched")


class KeyOperations:
    """The room of workspace keys."""

    def __init__(self, keyring: Keyring, rewraps: Sequence[Rewrap]) -> None:
        """`rewraps`: one of each room that keeps wrapped keys."""
        self._keyring = keyring
        self._rewraps = rewraps

    @operation(
        "key.list",
        action="manageKeys",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("GET", "/workspaces/{workspace}/key"),
        command=Command("key list", positional=("workspace",)),
    )
    def ls(self, call: Call, request: KeyReference) -> WorkspaceKey:
        """List the versions of a workspace's key."""
        with call.reading() as session:
            return WorkspaceKey(
                workspace=request.workspace, versions=self._versions(session, request.workspace)
            )

    @operation(
        "key.rotate",
        action="manageKeys",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/key/rotate"),
        command=Command("key rotate", positional=("workspace",)),
    )
    def rotate(self, call: Call, request: KeyReference) -> Rotated:
        """Make a new version of the key and rewrap every object key under it.

        The data is not touched. Old versions stay, for backups made before.
        """
        with call.transaction() as session:
            version = self._keyring.rotate(session, request.workspace)
            rewrapped = sum(rewrap(session, request.workspace) for rewrap in self._rewraps)
            call.note(version=version, rewrapped=rewrapped)
            return Rotated(
                workspace=request.workspace,
                versions=self._versions(session, request.workspace),
                rewrapped=rewrapped,
            )

    @operation(
        "key.disable",
        action="manageKeys",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/key/disable"),
        command=Command("key disable", positional=("workspace",), confirm="workspace"),
    )
    def disable(self, call: Call, request: KeyReference) -> WorkspaceKey:
        """Make everything in the workspace unreadable and unwritable, until it is enabled."""
        return self._change(call, request.workspace, self._keyring.disable)

    @operation(
        "key.enable",
        action="manageKeys",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/key/enable"),
        command=Command("key enable", positional=("workspace",)),
    )
    def enable(self, call: Call, request: KeyReference) -> WorkspaceKey:
        """Allow reading and writing again."""
        return self._change(call, request.workspace, self._keyring.enable)

    @operation(
        "key.destroy",
        action="manageKeys",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("DELETE", "/workspaces/{workspace}/key"),
        command=Command("key destroy", positional=("workspace",), confirm="workspace"),
    )
    def destroy(self, call: Call, request: KeyReference) -> WorkspaceKey:
        """Delete the key for good: nothing in the workspace can ever be read again.

        Backups made before still hold the wrapped key, and can be read with the root key.
        """
        return self._change(call, request.workspace, self._keyring.destroy)

    def _change(
        self, call: Call, workspace: str, change: Callable[[Session, str], None]
    ) -> WorkspaceKey:
        with call.transaction() as session:
            change(session, workspace)
            return WorkspaceKey(workspace=workspace, versions=self._versions(session, workspace))

    def _versions(self, session: Session, workspace: str) -> list[KeyVersion]:
        found = self._keyring.versions(session, workspace)
        if not found:
            raise NotFoundError(f"the workspace `{workspace}` has no key")
        return [_shown(info) for info in found]


def _shown(info: KeyInfo) -> KeyVersion:
    return KeyVersion(version=info.version, state=info.state, created_at=info.created_at)
