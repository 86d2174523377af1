"""Who takes part in the quickstart: one person a role, each with a key shown once."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from strongroom.errors import ConflictError
from strongroom.faces.cli.quickstart.hosting import PURPOSE, Hosted
from strongroom.faces.client.client import Client
from strongroom.faces.client.profiles import Profile

WORKSPACE = "clinic"
PEOPLE = {
    "olga.owner": "Owner",
    "dan.scientist": "Data Scientist",
    "emma.engineer": "ML Engineer",
    "petra.privacy": "Privacy Officer",
    "aldo.auditor": "Auditor",
    "rita.reader": "Reader",
}
OWNER, SCIENTIST, ENGINEER, PRIVACY_OFFICER, AUDITOR, READER = PEOPLE


@dataclass(frozen=True, slots=True)
class Cast:
    """The people, able to act.

    Attributes:
        keys: API key of each person.
        clients: a client of each person.
    """

    keys: dict[str, str] = field(repr=False)
    clients: dict[str, Client]

    def close(self) -> None:
        """End the connections of every client."""
        for client in self.clients.values():
            client.close()

    def __getitem__(self, name: str) -> Client:
        return self.clients[name]


def client_for(server: Hosted, key: str) -> Client:
    """A client that acts with `key` in the quickstart's workspace."""
    return Client(Profile(server.url, key, str(server.ca), WORKSPACE))


def ensure_workspace(operator: Client) -> bool:
    """Make the workspace; whether it is new."""
    try:
        operator.call("workspace.create", name=WORKSPACE, description="the quickstart's clinic")
    except ConflictError:
        return False
    return True


def assemble(server: Hosted, operator: Client) -> Cast:
    """Every person with their role and a fresh key; keys of an earlier run are revoked."""
    known = {user["name"]: user for user in operator.call("user.ls", limit=1_000)["users"]}
    keys: dict[str, str] = {}
    for name, role in PEOPLE.items():
        if name not in known:
            operator.call("user.create", name=name)
        with suppress(ConflictError):  # they hold it already
            operator.call("role.grant", workspace=WORKSPACE, principal=name, role=role)
        for key in operator.call("token.ls", user=name)["keys"]:
            if key["purpose"] == PURPOSE and key["state"] == "active":
                operator.call("token.revoke", key=key["id"])
        made: dict[str, Any] = operator.call(
            "token.create", user=name, purpose=PURPOSE, workspaces=[WORKSPACE]
        )
        keys[name] = made["secret"]
    return Cast(keys, {name: client_for(server, key) for name, key in keys.items()})
