"""Damage, repair and restore as met at a terminal: words, exit codes, next steps."""

import json
from pathlib import Path

from tests.faces.cli.conftest import Offline
from tests.faces.homes import database_of, give_reader, keep_database, put_back, served

from strongroom.engines.ledger.cosignature import WitnessKey
from strongroom.faces.foundation import open_foundation
from strongroom.vault.roots import LocalRoot


def test_a_damaged_log_is_put_away_and_another_begun(offline: Offline, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    served(tmp_path / "home")
    code, _, err = offline("recover", "--new-log", "--home", home, "--yes")
    assert (code, "the log is whole" in err) == (1, True)
    with database_of(tmp_path / "home") as rows:
        rows.execute("UPDATE log_entries SET sealed = zeroblob(40) WHERE leaf_index = 1")
    code, _, err = offline("recover", "--home", home)
    assert (code, "entry 1 of the log was changed" in err) == (5, True)
    code, out, _ = offline("audit", "export", "--home", home, "-o", "kept.zip", "--json")
    assert code == 0
    assert json.loads(out)["first_bad_entry"] == 1

    code, _, err = offline("recover", "--new-log", "--home", home)
    assert (code, "must be confirmed" in err) == (2, True)
    code, out, _ = offline("recover", "--new-log", "--home", home, "--yes", "--json")
    assert code == 0
    evidence = json.loads(out)
    assert evidence["bad_entries"] == 1
    assert Path(evidence["file"]).read_bytes() == (tmp_path / "kept.zip").read_bytes()
    code, out, _ = offline("recover", "--home", home)
    assert (code, out[:4]) == (0, "srk_")


def test_nothing_is_called_verified_that_was_not_looked_at(
    offline: Offline, tmp_path: Path
) -> None:
    home = str(tmp_path / "home")
    settings, first = served(tmp_path / "home")
    with open_foundation(settings) as foundation:
        key = str(foundation.log.key)
        (tmp_path / "kept").write_bytes(foundation.log.public_checkpoint())
        give_reader(foundation, "usr_ann", by=first)
    witness = str(WitnessKey("w.example/1", bytes(32)))
    code, _, err = offline("verify", home, "--log-key", key)
    assert (code, "--against" in err) == (2, True)
    against = ["verify", home, "--log-key", key, "--against", "kept"]
    code, _, err = offline(*against, "--witness", witness)
    assert (code, "--witness" in err) == (2, True)
    code, out, _ = offline(*against, "--json")
    assert (code, json.loads(out)["size"]) == (0, 3)


def test_a_new_log_over_an_older_database_takes_both_options(
    offline: Offline, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    keep_database(home, tmp_path / "kept")
    with open_foundation(settings) as foundation:
        give_reader(foundation, "usr_ann", by=first)
    put_back(home, tmp_path / "kept")
    with database_of(home) as rows:
        rows.execute("UPDATE log_entries SET sealed = zeroblob(40) WHERE leaf_index = 1")
    begin = ["recover", "--new-log", "--home", str(home), "--yes"]
    code, _, err = offline(*begin)
    assert (code, "--new-log --accept-rollback" in err) == (5, True)
    code, _, _ = offline(*begin, "--accept-rollback")
    assert code == 0
    code, out, _ = offline("recover", "--home", str(home))
    assert (code, out[:4]) == (0, "srk_")


def test_a_changed_role_is_made_again(offline: Offline, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    served(tmp_path / "home")
    code, _, err = offline("recover", "--reseal", "operator", "--home", home, "--yes")
    assert (code, "as this server left it" in err) == (1, True)
    with database_of(tmp_path / "home") as rows:
        rows.execute("UPDATE grants SET role = 'Reader' WHERE workspace = 'clinic'")
    code, _, err = offline("recover", "--reseal", "operator", "--home", home)
    assert code == 2
    assert "- Reader of clinic" in err
    assert "+ Owner of clinic" in err
    code, out, _ = offline("recover", "--reseal", "operator", "--home", home, "--yes", "--json")
    assert code == 0
    assert json.loads(out)["difference"] == ["- Reader of clinic", "+ Owner of clinic"]


def test_a_restore_says_what_is_wrong(offline: Offline, tmp_path: Path) -> None:
    home, root_key = str(tmp_path / "home"), str(tmp_path / "home" / "root.key")
    served(tmp_path / "home")
    code, _, _ = offline("backup", "--home", home, "--to", "backups")
    assert code == 0
    LocalRoot.create(tmp_path / "other.key")
    new = str(tmp_path / "new")
    for wrong, words in (
        ([], "give its file with --root-key"),
        (["--root-key", "other.key"], "give the root key of the home that was backed up"),
        (["--root-key", "backups"], "cannot be used as the root key"),
    ):
        code, _, err = offline("restore", "--from", "backups", "--home", new, *wrong)
        assert code == 1
        assert words in err
    code, _, err = offline("restore", "--from", "backups", "--home", home, "--root-key", root_key)
    assert (code, "exists already" in err) == (1, True)
    [database] = tmp_path.glob("backups/2*/database.sqlite")
    whole = database.read_bytes()
    database.write_bytes(whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:])
    code, _, err = offline("restore", "--from", "backups", "--home", new, "--root-key", root_key)
    assert (code, "was changed" in err) == (5, True)
    assert not Path(new).exists()
    database.write_bytes(whole)
    code, _, _ = offline("restore", "--from", "backups", "--home", new, "--root-key", root_key)
    assert code == 0
    assert Path(new, "anchor").exists()
