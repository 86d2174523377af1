"""A home of the first version, which had neither journal nor anchor, is opened by this one."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.faces.homes import database_of, operations, settings_of

from strongroom.errors import RolledBackError
from strongroom.faces.foundation import open_foundation
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.roles import OPERATOR, OWNER
from strongroom.gate.access.tables import SERVER_WIDE
from strongroom.vault.database import Database
from strongroom.vault.home import Home
from strongroom.vault.keys import SYSTEM, Keyring
from strongroom.vault.migrations.run import upgrade
from strongroom.vault.roots import LocalRoot
from strongroom.vault.seals import SealChangeRow


def first_home(path: Path) -> None:
    """As the first version left it: keys and grants under seals, the form before step 0002."""
    Home.create(path)
    (path / "home.json").write_text(json.dumps({"kind": "strongroom home", "format": 1}))
    database = Database.open(f"sqlite:///{path / 'strongroom.db'}")
    keyring = Keyring(LocalRoot.create(path / "root.key"))
    now = datetime(2026, 11, 1, tzinfo=UTC)
    with database.write() as session:
        upgrade(session.connection(), to="0001")
        # What is sealed today is sealed as it was then; only the journal did not exist.
        SealChangeRow.__table__.create(session.connection())  # type: ignore[attr-defined] # typed as FromClause
        for workspace in (SYSTEM, "clinic"):
            keyring.create_workspace_key(session, workspace)
        keyring.disable(session, "clinic")
        grants = Grants(keyring.secret("grants"))
        grants.grant(session, "usr_op", OPERATOR, SERVER_WIDE, by="usr_op", now=now)
        grants.grant(session, "usr_op", OWNER, "clinic", by="usr_op", now=now)
        grants.grant(session, "usr_ann", OWNER, "clinic", by="usr_op", now=now)
        grants.suspend(session, "usr_ann", now=now)
    with database.write() as session:
        session.execute(text("DROP TABLE seal_changes"))
    database.close()


def test_what_was_sealed_before_is_taken_into_the_journal_on_the_record(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first_home(home)
    with database_of(home) as rows:  # a forged grant is not taken along
        rows.execute("INSERT INTO grants VALUES ('usr_eve', 'clinic', 'Owner', 'x', '2026-11-01')")
    for _ in range(2):
        with open_foundation(settings_of(home)) as foundation:
            with foundation.database.read() as session:
                held = foundation.grants.standing(session, "usr_op").grants
                assert held == {("", "Operator"), ("clinic", "Owner")}
                assert foundation.grants.standing(session, "usr_ann").suspended
                assert foundation.grants.workspaces_of(session, "usr_eve") == []
                [key] = foundation.keyring.versions(session, "clinic")
                assert key.state == "disabled"
                foundation.keyring.verify_state(session, "clinic")
            assert operations(foundation) == ["server.adopt", "server.adopt"]
    assert json.loads((home / "home.json").read_text())["anchored"]


def test_it_cannot_be_made_a_home_of_the_first_version_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first_home(home)
    with open_foundation(settings_of(home)):
        pass
    with database_of(home) as rows:
        rows.execute("DELETE FROM seal_changes")
    with pytest.raises(RolledBackError), open_foundation(settings_of(home)):
        pass
