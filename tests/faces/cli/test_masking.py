"""The token vault of `strongroom mask`, and what else a run reads: never lost, never replaced."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faces.cli import privacy_files
from tests.faces.cli.conftest import Offline

from strongroom.errors import CallerError, StorageFullError
from strongroom.faces.cli import masking
from strongroom.faces.cli.masking import VaultFile

KEY = bytes(range(32))
POLICY = '[types]\nperson_name = "redact"\nemail = { method = "tokenize", form = "opaque" }\n'


def test_what_another_command_drew_meanwhile_is_kept(tmp_path: Path) -> None:
    early, late = VaultFile(tmp_path / "vault", KEY), VaultFile(tmp_path / "vault", KEY)
    with early.alone():
        [first] = early.tokens.tokens_for("email", ["ada@example.org"], "opaque")
        early.save()
    with late.alone():  # opened before the other had saved
        drawn = late.tokens.tokens_for("email", ["eve@example.org", "ada@example.org"], "opaque")
        late.save()
    assert drawn[1] == first
    kept = VaultFile(tmp_path / "vault", KEY).tokens
    assert kept.reverse([*drawn, first]) == ["eve@example.org", *["ada@example.org"] * 2]


def test_a_vault_is_a_file_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(CallerError, match="no file"):
        VaultFile(tmp_path / "endless", KEY)
    (tmp_path / "large").write_bytes(b"x" * 101)
    monkeypatch.setattr(masking, "_MAX_VAULT_BYTES", 100)
    with pytest.raises(CallerError, match="more than"):
        VaultFile(tmp_path / "large", KEY)


@pytest.fixture
def tokenizing(offline: Offline, tmp_path: Path) -> list[str]:
    """The words of a run that draws tokens, after one that made the vault."""
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "policy.toml").write_text(POLICY)
    assert offline("mask", "--new-key", "key")[0] == 0
    words = ["mask", "people.csv", "--policy", "policy.toml", "--key-file", "key"]
    words += ["--token-vault", "vault"]
    assert offline(*words, "-o", "first.csv")[0] == 0
    return words


@pytest.mark.parametrize("read", ["vault", "key", "policy.toml", "link"])
@pytest.mark.parametrize("option", ["-o", "--html"])
def test_no_output_replaces_what_the_run_reads(
    offline: Offline, tmp_path: Path, tokenizing: list[str], read: str, option: str
) -> None:
    (tmp_path / "link").symlink_to("vault")
    before = (tmp_path / read).read_bytes()
    target = ["-o", "second.csv"] if option == "--html" else []
    code, _, err = offline(*tokenizing, *target, option, read, "--to", "csv", "--force")
    assert (code, "is a file that is read" in err) == (1, True), err
    assert (tmp_path / read).read_bytes() == before
    assert not (tmp_path / "second.csv").exists()


def test_revealing_does_not_replace_vault_or_key(
    offline: Offline, tmp_path: Path, tokenizing: list[str]
) -> None:
    sealed = ["--key-file", "key", "--token-vault", "vault"]
    for name in ("vault", "key"):
        before = (tmp_path / name).read_bytes()
        code, _, err = offline("mask", "first.csv", "--reveal", *sealed, "-o", name, "--force")
        assert (code, "is a file that is read" in err) == (1, True), err
        assert (tmp_path / name).read_bytes() == before


def test_a_folder_of_results_does_not_replace_the_vault_in_it(
    offline: Offline, tmp_path: Path, tokenizing: list[str]
) -> None:
    privacy_files.write(tmp_path / "data", "a.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "vault").rename(tmp_path / "out" / "a.csv")
    before = (tmp_path / "out" / "a.csv").read_bytes()
    words = [*tokenizing[2:-1], "out/a.csv", "-o", "out", "--force"]
    code, _, err = offline("mask", "data", *words)
    assert (code, "is a file that is read" in err) == (1, True), err
    assert (tmp_path / "out" / "a.csv").read_bytes() == before


def test_tokens_are_kept_before_a_stream_shows_them(
    offline: Offline, tmp_path: Path, tokenizing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pipe has taken cannot be taken back: a vault that cannot be saved shows nothing."""
    (tmp_path / "vault").unlink()

    def full(_vault: VaultFile) -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(VaultFile, "save", full)
        code, out, _ = offline(*tokenizing)
    assert (code, out) == (1, "")
    code, out, _ = offline(*tokenizing)
    assert code == 0
    assert "tok_" in out
    (tmp_path / "shown.csv").write_text(out)
    _, clear, err = offline("mask", "shown.csv", "--reveal", *tokenizing[4:])
    assert "not of this vault: 0" in err
    assert "example.org" in clear


def test_a_clear_value_that_looks_like_a_token_stays_what_it_is(
    offline: Offline, tmp_path: Path, tokenizing: list[str]
) -> None:
    rows = "".join(f"P-{n:06d}-{n * 7919 % 100000:05d},R{n}\n" for n in range(40))
    (tmp_path / "beds.csv").write_text(f"mrn,room\n{rows}")
    policy = '[columns]\nmrn = { method = "tokenize", form = "same" }\nroom = "keep"\n'
    (tmp_path / "beds.toml").write_text(policy)
    sealed = ["--key-file", "key", "--token-vault", "vault"]
    code, masked, err = offline("mask", "beds.csv", "--policy", "beds.toml", *sealed)
    assert code == 0, err
    shown = list(csv.reader(masked.splitlines()))
    token = shown[5][0]
    assert token not in rows
    shown[9][1] = token
    with (tmp_path / "masked.csv").open("w", newline="") as file:
        csv.writer(file).writerows(shown)
    _, clear, err = offline("mask", "masked.csv", "--reveal", *sealed)
    assert "turned back: 40;" in err
    assert list(csv.reader(clear.splitlines()))[9] == [rows.splitlines()[8].split(",")[0], token]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_stdout_is_said(tmp_path: Path) -> None:
    people = privacy_files.write(tmp_path, "people.csv")
    command = [sys.executable, "-m", "strongroom.faces.cli.main", "mask", str(people), "--no-model"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=os.environ
        )
    assert done.returncode == 1
    assert "no room for the output" in done.stderr
    assert "Traceback" not in done.stderr
