"""Who takes part in the quickstart: one person a role, each with a key shown once."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from strongroom.errors import ConflictError, NotFoundError, RefusedError
from strongroom.faces.cli.quickstart.hosting import Hosted
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


def assemble(server: Hosted, operator: Client, kept: Mapping[str, str]) -> Cast:
    """Every person with their role and a key that only they were shown.

    The operator makes accounts and invitations; each person redeems theirs and tells the Owner
    their claim code; the Owner gives the roles, and takes the operator's own.

    Args:
        server: where they are.
        operator: who runs it.
        kept: keys of people who were there already, by name (`hosting.prepare`).
    """
    known = {user["name"] for user in operator.call("user.ls", limit=1_000)["users"]}
    keys = dict(kept)
    for name in PEOPLE:
        if name not in known:
            operator.call("user.create", name=name)
        if name not in keys:
            invitation = operator.call("user.invite", user=name)["token"]
            with client_for(server, invitation) as invited:
                keys[name] = invited.call("user.claim")["secret"]
    clients = {name: client_for(server, key) for name, key in keys.items()}
    claims = {name: client.call("whoami")["claim"] for name, client in clients.items()}
    _give(operator, OWNER, claims)
    owner = clients[OWNER]
    for name in PEOPLE:
        _give(owner, name, claims)
    with suppress(NotFoundError):  # an earlier run took it
        owner.call("role.revoke", workspace=WORKSPACE, principal="operator", role="Owner")
    return Cast(keys, clients)


def _give(giver: Client, name: str, claims: Mapping[str, str]) -> None:
    # Who made the workspace is Owner until the Owner is there: then they are refused.
    with suppress(ConflictError, RefusedError):
        giver.call(
            "role.grant", workspace=WORKSPACE, principal=name, role=PEOPLE[name], claim=claims[name]
        )
