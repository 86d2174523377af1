"""The built-in roles: their names for people and for Cedar. What each may do: `policies/`."""

import re
from dataclasses import dataclass

from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role.

    Attributes:
        name: for people, `Data Scientist`.
        id: in tables and in Cedar entity ids, `DataScientist`.
        attribute: of the Cedar entity that names the role's members, `dataScientist`.
        summary: what it is for.
    """

    name: str
    id: str
    attribute: str
    summary: str

    def entity_id(self, workspace: str) -> str:
        """Id of the Cedar entity whose children are the role's members in `workspace`."""
        return f"{workspace or 'server'}/{self.id}"


def _role(name: str, summary: str) -> Role:
    identifier = name.replace(" ", "")
    # MLEngineer gives mlEngineer: leading capitals up to the next word become small.
    attribute = re.sub(r"^[A-Z]+(?=[A-Z][a-z]|$)|^[A-Z]", lambda m: m[0].lower(), identifier)
    return Role(name, identifier, attribute, summary)


OWNER = _role("Owner", "everything in the workspace, members and keys included")
CONTRIBUTOR = _role("Contributor", "all work, but not members, keys or clear personal data")
READER = _role("Reader", "what is there, never rows, artifacts or predictions")
DATA_SCIENTIST = _role("Data Scientist", "masked rows, experiments, models, endpoints; not approve")
ML_ENGINEER = _role("ML Engineer", "approves, deploys and calls models; masked rows")
COMPUTE_OPERATOR = _role("Compute Operator", "watches and stops jobs")
PRIVACY_OFFICER = _role("Privacy Officer", "clear rows, classification and the log; not deploy")
AUDITOR = _role("Auditor", "the log with its proofs, and what is there; changes nothing")

WORKSPACE_ROLES = (
    OWNER, CONTRIBUTOR, READER, DATA_SCIENTIST, ML_ENGINEER, COMPUTE_OPERATOR, PRIVACY_OFFICER,
    AUDITOR,
)  # fmt: skip

OPERATOR = _role("Operator", "runs the server: makes workspaces and people, reads no data")
"""The one server-wide role."""

_BY_KEY = {role.id.lower(): role for role in WORKSPACE_ROLES}


def workspace_role(text: str) -> Role:
    """The role that a person means by `Data Scientist`, `data-scientist` or `DataScientist`.

    Raises:
        ValidationError: no such role; the message lists those there are.
    """
    role = _BY_KEY.get(re.sub(r"[ _-]", "", text).lower())
    if role is None:
        names = ", ".join(role.name for role in WORKSPACE_ROLES)
        raise ValidationError(
            f"unknown role `{text[:64]}`", next_step=f"choose one of the roles: {names}"
        )
    return role
