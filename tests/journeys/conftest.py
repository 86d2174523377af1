"""One server for all tests that neither stop nor fill it: a start takes seconds."""

from collections.abc import Iterator

import pytest
from tests.journeys.served import Served, serving

PASSPHRASE = "correct horse battery staple 7341"
PEOPLE = {
    "olga": "Owner",
    "carl": "Contributor",
    "dan": "Data Scientist",
    "emma": "ML Engineer",
    "petra": "Privacy Officer",
    "aldo": "Auditor",
    "carla": "Compute Operator",
    "rita": "Reader",
    "nina": "",
}
"""Name and role in `clinic`; nina has none."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    passphrase = folder / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text(f"{PASSPHRASE}\n")
    with serving(folder / "home", people=PEOPLE, root_passphrase_file=str(passphrase)) as running:
        running.workspace("lab")
        running.person("leo", "Data Scientist", workspace="lab")
        yield running
