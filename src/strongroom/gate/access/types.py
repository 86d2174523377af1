"""What a decision is made of: who asks, about what, in which circumstances, and the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CedarValue = str | int | bool | tuple[str, ...]


class PrincipalKind(StrEnum):
    """Kinds of principals."""

    PERSON = "person"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as established from a credential.

    Attributes:
        id: stable id without personal meaning, e.g. `usr_…`; empty for anonymous.
        name: how people call them; shown, never decided on.
        credential_id: the API key, session or token used; empty for anonymous.
        workspaces: names the credential is limited to; empty means all of the principal's.
        address: network address the call came from, as text; empty when in-process.
    """

    kind: PrincipalKind
    id: str
    name: str = ""
    credential_id: str = ""
    workspaces: tuple[str, ...] = ()
    address: str = ""


INVITED = ("-",)
"""The limit of an invitation: it is good in no workspace, for none has this name."""

ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "")


@dataclass(frozen=True, slots=True)
class Entity:
    """A resource as Cedar sees it. The gate never looks it up: the room that owns it says so.

    Attributes:
        type: Cedar entity type without namespace, e.g. `Dataset`.
        id: unique within the type; a room prefixes it with the workspace: `clinic/patients`.
        workspace: name of the workspace it lies in; None for the server itself.
        attributes: what policies may look at beside the workspace.
    """

    type: str
    id: str
    workspace: str | None
    attributes: Mapping[str, CedarValue] = field(default_factory=dict)


def workspace_entity(name: str) -> Entity:
    """The workspace itself as a resource."""
    return Entity("Workspace", name, name)


SERVER = Entity("Server", "server", None)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of the policies.

    Attributes:
        allowed: False unless a policy permits and none forbids.
        policies: ids of the policies that decided, as in the `.cedar` files.
        errors: evaluation errors; any error means not allowed.
    """

    allowed: bool
    policies: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
