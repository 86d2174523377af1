"""One server with MLflow for all tests of this folder: mounting takes seconds, once a process."""

import ipaddress
import itertools
from collections.abc import Iterator

import httpx
import pytest
from tests.faces.mlflow.ward import SimulatedChecks, Street, Ward
from tests.faces.serving import serving
from tests.gate.gatehouse import gatehouse

import strongroom.faces.mlflow.tables
import strongroom.vault.blobs  # noqa: F401 # their tables must be known
from strongroom.faces.credentials import COOKIE
from strongroom.faces.mlflow.mounting import Mounting, Pieces
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

_ADDRESSES = itertools.count(int(ipaddress.ip_address("10.0.0.1")))


@pytest.fixture(scope="session")
def street() -> Street:
    """Where the requests come from."""
    return Street()


@pytest.fixture(autouse=True)
def own_address(street: Street) -> None:
    """Each test comes from an address of its own: what one asks does not count for the next."""
    street.address = str(ipaddress.ip_address(next(_ADDRESSES)))


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory, street: Street) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    database = Database.create_for_tests(folder / "ward.db")
    (folder / "blobs").mkdir()
    with gatehouse(database) as house:
        for name in ("clinic", "lab", "theatre"):
            house.workspace(name)
            with database.write() as session:
                house.keyring.create_workspace_key(session, name)
        people = {
            "alice": house.person("Alice", "Data Scientist"),
            "rita": house.person("Rita", "Reader"),
            "emil": house.person("Emil", "ML Engineer"),
            "bob": house.person("Bob", "Data Scientist", workspace="lab"),
            "otto": house.person("Otto", "Data Scientist"),
            "nina": house.person("Nina"),
            "carl": house.person("Carl", "Compute Operator"),
            "late": house.person("Late", "Data Scientist"),
            "olga": house.person("Olga", "Data Scientist", workspace="theatre"),
        }
        house.grant(people["otto"], "Data Scientist", "lab")
        keys, sessions = {}, {}
        with database.write() as session:
            for name, person in people.items():
                _, keys[name] = house.issuer.api_key(
                    session, person.id, purpose="test", days=1, workspaces=(), by=person.id
                )
                _, sessions[name] = house.issuer.console_session(session, person.id, hours=1)
            _, keys["otto-lab"] = house.issuer.api_key(
                session, people["otto"].id, purpose="lab", days=1, workspaces=("lab",),
                by=people["otto"].id,
            )  # fmt: skip
        blobs = BlobStore(folder / "blobs", house.keyring, database)
        checks = SimulatedChecks(blobs)
        mounting = Mounting(
            Pieces(
                database=database, gate=house.gate, grants=house.grants, blobs=blobs, checks=checks,
                identify=house.sign_in.identify,
                max_upload_bytes=2**30, max_request_bytes=4 * 2**20, request_seconds=30,
            )
        )  # fmt: skip
        mounting.start()
        assert mounting.wait(120)
        with (
            serving(street.before(mounting)) as port,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False
            ) as client,
        ):
            yield Ward(house, checks, client, folder, COOKIE, people, keys, sessions, street)
    database.close()
