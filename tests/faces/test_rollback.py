"""An older database, or older rows with their old seals, in the place of the newest."""

import json
from pathlib import Path

import pytest
from tests.faces.homes import (
    database_of,
    give_reader,
    keep_blob,
    keep_database,
    newly_served,
    operations,
    put_back,
    served,
)

from strongroom.errors import RolledBackError, StateError, TamperedError
from strongroom.faces.foundation import open_foundation
from strongroom.faces.recovering import accept_rollback, begin_new_log, export_evidence
from strongroom.gate.access.roles import READER
from strongroom.gate.access.types import SERVER, Principal, PrincipalKind
from strongroom.gate.audit.findings import open_findings
from strongroom.gate.audit.reading import Filters
from strongroom.gate.hosting import host_event


def test_an_older_database_is_refused_until_the_loss_is_on_the_record(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    keep_database(home, tmp_path / "kept")
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
        before = foundation.log.key
    put_back(home, tmp_path / "kept")

    for _ in range(2):
        with pytest.raises(RolledBackError, match="2 of 3 log entries"), open_foundation(settings):
            pass
    with open_foundation(settings, accept=accept_rollback) as foundation:
        assert operations(foundation)[-1] == "server.rollback_accepted"
        with foundation.log.snapshot() as session:
            [entry] = foundation.log.search(session, Filters(), 1)
        details = entry.event.details
        assert (details["size"], details["anchored_size"]) == (2, 3)
        assert details["old_log_key"] == str(before)
        # Two histories are never signed under one name.
        assert foundation.log.key.name == f"{before.name}/again-1" == details["log"]
        assert foundation.log.key.public != before.public
        foundation.log.verify_live()
    with open_foundation(settings) as foundation:
        foundation.log.verify_live()
        assert foundation.log.receipt(0).verify([foundation.log.key]).size >= 3


@pytest.mark.parametrize("harm", ["missing", "changed", "of another home"])
def test_without_its_anchor_a_home_is_refused(tmp_path: Path, harm: str) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    anchor = home / "anchor"
    if harm == "missing":
        anchor.unlink()
    elif harm == "changed":
        fields = json.loads(anchor.read_text())
        anchor.write_text(json.dumps({**fields, "size": 1}))
    else:
        newly_served(tmp_path / "other")
        anchor.write_bytes((tmp_path / "other" / "anchor").read_bytes())
    with pytest.raises(TamperedError, match="anchor"), open_foundation(settings):
        pass
    with open_foundation(settings, accept=accept_rollback) as foundation:
        assert operations(foundation)[-1] == "server.rollback_accepted"
    with open_foundation(settings):
        pass


def test_a_cut_off_log_and_a_cut_off_journal_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    with database_of(home) as rows:
        rows.execute(
            "DELETE FROM seal_changes WHERE position = (SELECT max(position) FROM seal_changes)"
        )
    with pytest.raises(RolledBackError, match="5 of 6 sealed"), open_foundation(settings):
        pass


_HELD = ("grants", "standings")


def _rows_of(home: Path, who: str) -> dict[str, list[tuple[object, ...]]]:
    with database_of(home) as rows:
        return {
            table: rows.execute(f"SELECT * FROM {table} WHERE principal = ?", (who,)).fetchall()  # noqa: S608 # our own table names
            for table in _HELD
        }


def _put_rows_back(home: Path, who: str, kept: dict[str, list[tuple[object, ...]]]) -> None:
    """Put old rows, with the seal that they had, in the place of the present ones."""
    with database_of(home) as rows:
        for table, found in kept.items():
            rows.execute(f"DELETE FROM {table} WHERE principal = ?", (who,))  # noqa: S608 # our own table names
            for row in found:
                marks = ", ".join("?" * len(row))
                rows.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 # our own table names


def test_old_rows_with_their_old_seal_hold_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
    kept = _rows_of(home, "usr_ann")
    with open_foundation(settings) as foundation, foundation.database.write() as session:
        foundation.grants.revoke(session, "usr_ann", READER, "clinic")
        foundation.log.append(session, host_event("test.revoke"))
    _put_rows_back(home, "usr_ann", kept)
    with (
        open_foundation(settings) as foundation,
        foundation.database.read() as session,
        pytest.raises(TamperedError, match="older"),
    ):
        foundation.grants.standing(session, "usr_ann")


def test_an_enabled_key_row_replayed_after_a_disable_opens_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    with database_of(home) as rows:
        [(state, mac)] = rows.execute(
            "SELECT state, mac FROM workspace_keys WHERE workspace = 'clinic'"
        ).fetchall()
    with open_foundation(settings) as foundation, foundation.database.write() as session:
        foundation.keyring.disable(session, "clinic")
        foundation.log.append(session, host_event("test.disable"))
    with database_of(home) as rows:
        rows.execute(
            "UPDATE workspace_keys SET state = ?, mac = ? WHERE workspace = 'clinic'", (state, mac)
        )
    with open_foundation(settings) as foundation:
        with foundation.database.read() as session, pytest.raises(TamperedError, match="older"):
            foundation.keyring.require_enabled(session, "clinic")
        with foundation.database.read() as session:
            repair = foundation.repairs.of_key(session, "clinic")
        assert repair.difference() == ["- enabled/1", "+ disabled/1"]
        with foundation.database.write() as session:
            foundation.repairs.make(session, repair)
            foundation.log.append(session, host_event("server.resealed"))
        with foundation.database.read() as session:
            foundation.keyring.verify_state(session, "clinic")
            assert [k.state for k in foundation.keyring.versions(session, "clinic")] == ["disabled"]


def test_tampered_grants_are_found_once_and_made_again_from_the_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
    with database_of(home) as rows:
        rows.execute(
            "UPDATE grants SET role = 'Owner' WHERE principal = ? AND role = 'Operator'", (first,)
        )
        rows.execute("INSERT INTO suspensions VALUES (?, '2026-11-20 00:00:00.000000')", (first,))
    with open_foundation(settings) as foundation:
        person = Principal(PrincipalKind.PERSON, first)
        for _ in range(3):
            assert not foundation.access.decide(person, "createWorkspace", SERVER).allowed
    with open_foundation(settings) as foundation:
        assert operations(foundation).count("integrity.finding") == 1
        with foundation.database.read() as session:
            [finding] = open_findings(session)
        assert (finding.kind, finding.subject) == ("standing", first)
        with foundation.database.read() as session:
            repair = foundation.repairs.of_account(session, first)
        assert sorted(repair.difference()) == [
            "+ Operator of the server",
            "- Owner of the server",
            "- disabled",
        ]
        with foundation.database.write() as session:
            foundation.repairs.make(session, repair)
            foundation.log.append(session, host_event("server.resealed"))
        with foundation.database.read() as session:
            held = foundation.grants.standing(session, first)
            assert held.grants == {("", "Operator"), ("clinic", "Owner")}
            assert not held.suspended
            assert open_findings(session) == []
        with (
            foundation.database.read() as session,
            pytest.raises(StateError, match="as this server left it"),
        ):
            foundation.repairs.of_account(session, first)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE log_entries SET sealed = zeroblob(50) WHERE leaf_index = 1",
        "DELETE FROM log_entries WHERE leaf_index = 1",
        "UPDATE log_tiles SET hashes = zeroblob(64)",
        "UPDATE log_checkpoints SET note = 'nonsense'",
    ],
)
def test_a_damaged_log_becomes_evidence_and_a_new_one_says_so(tmp_path: Path, harm: str) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    with database_of(home) as rows:
        rows.execute(harm)
    with pytest.raises(TamperedError), open_foundation(settings):
        pass
    evidence = export_evidence(settings, tmp_path / "evidence.zip")
    assert evidence.damage.found
    kept = begin_new_log(settings)
    assert kept.sha256 == evidence.sha256
    with open_foundation(settings) as foundation:
        assert operations(foundation)[0] == "server.log_begun_anew"
        foundation.log.verify_live()
        with foundation.log.snapshot() as session:
            event = foundation.log.entry(session, 0).event
        assert event.details["evidence_sha256"] == kept.sha256
        with foundation.database.read() as session:
            assert ("", "Operator") in foundation.grants.standing(session, first).grants
    # The new log can tell what must be held, too.
    with database_of(home) as rows:
        rows.execute("DELETE FROM grants")
    with open_foundation(settings) as foundation:
        with foundation.database.read() as session:
            repair = foundation.repairs.of_account(session, first)
        assert sorted(repair.difference()) == ["+ Operator of the server", "+ Owner of clinic"]


def test_a_new_log_makes_no_old_row_the_latest(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
    kept = _rows_of(home, "usr_ann")
    with open_foundation(settings) as foundation, foundation.database.write() as session:
        foundation.grants.revoke(session, "usr_ann", READER, "clinic")
        foundation.log.append(session, host_event("test.revoke"))
    _put_rows_back(home, "usr_ann", kept)
    with database_of(home) as rows:
        rows.execute("UPDATE log_entries SET sealed = zeroblob(50) WHERE leaf_index = 1")
    begin_new_log(settings)
    with open_foundation(settings) as foundation, foundation.database.read() as session:
        assert ("", "Operator") in foundation.grants.standing(session, first).grants
        with pytest.raises(TamperedError, match="older"):
            foundation.grants.standing(session, "usr_ann")


def test_a_new_log_does_not_hide_that_the_database_is_older(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    keep_database(home, tmp_path / "kept")
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
    anchor = (home / "anchor").read_bytes()
    put_back(home, tmp_path / "kept")
    with database_of(home) as rows:
        rows.execute("UPDATE log_entries SET sealed = zeroblob(50) WHERE leaf_index = 1")
    with pytest.raises(RolledBackError, match="sealed changes"):
        begin_new_log(settings)
    assert (home / "anchor").read_bytes() == anchor
    assert not (home / "evidence").exists()
    begin_new_log(settings, older_too=True)
    with open_foundation(settings) as foundation, foundation.log.snapshot() as session:
        details = foundation.log.entry(session, 0).event.details
    assert "sealed changes" in str(details["rolled_back"])
    assert (details["anchored_size"], details["old_entries"]) == (3, 2)


def test_a_row_far_behind_the_last_does_not_fill_the_disk_with_evidence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    far = 2**63 - 1
    with database_of(home) as rows:
        columns = [name for _, name, *_ in rows.execute("PRAGMA table_info(log_entries)")]
        values = ", ".join(str(far) if name == "leaf_index" else name for name in columns)
        rows.execute(f"INSERT INTO log_entries SELECT {values} FROM log_entries LIMIT 1")  # noqa: S608 # our own column names
    evidence = export_evidence(settings, tmp_path / "evidence.zip")
    # All places before it are missing; those of its own bundle are looked at one by one.
    assert evidence.damage.bad == [2, *range(far - 255, far)]
    assert evidence.damage.bad_count == far - 2
    assert evidence.path.stat().st_size < 64 * 1024
    assert begin_new_log(settings).damage.bad_count == far - 2
    with open_foundation(settings) as foundation:
        assert operations(foundation)[0] == "server.log_begun_anew"
        foundation.log.integrate()
    with database_of(home) as rows:
        rows.execute("DELETE FROM log_entries")
    assert export_evidence(settings, tmp_path / "none.zip").damage.bad == [0, 1]


def test_a_whole_log_is_not_put_away(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    assert export_evidence(settings, None).damage.found == []
    with pytest.raises(StateError, match="whole"):
        begin_new_log(settings)


def test_rows_that_make_no_sense_are_told_and_stop_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    with open_foundation(settings) as foundation:
        kept = keep_blob(foundation)
    with database_of(home) as rows:
        rows.execute("UPDATE blobs SET id = '../../' || id")
    with open_foundation(settings):
        pass
    with open_foundation(settings) as foundation, foundation.database.read() as session:
        [finding] = open_findings(session)
        assert (finding.kind, finding.subject) == ("blob", f"../../{kept}")
    with database_of(home) as rows:
        rows.execute("DELETE FROM strongroom_version")
    with pytest.raises(TamperedError, match="which form"), open_foundation(settings):
        pass
