"""Who there is, as rooms below that of identity ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from strongroom.gate.access.types import PrincipalKind


@dataclass(frozen=True, slots=True)
class KnownPrincipal:
    """A person or service identity, as the room of identity knows them."""

    id: str
    name: str
    kind: PrincipalKind


class Directory(Protocol):
    """Who there is: `gate.identity.accounts.Accounts`."""

    def find(self, session: Session, reference: str) -> KnownPrincipal:
        """By id or name; raises NotFoundError."""
        ...

    def claim(self, session: Session, identifier: str) -> str:
        """The code by which a person knows their claim; empty while nobody has claimed it."""
        ...

    def names(self, session: Session, ids: Sequence[str]) -> dict[str, KnownPrincipal]:
        """Those of `ids` that exist, by id."""
        ...
