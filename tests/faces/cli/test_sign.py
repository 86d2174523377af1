"""`strongroom sign` and `verify` of models, against themselves and the stock `model_signing`."""

import io
import json
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.engines.crypto.authorities import Authority
from tests.stock_tools import StockTools

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import SigningKey
from strongroom.faces.cli import main, model_folder

Run = Callable[..., tuple[int, str, str]]
MOMENT = "2026-11-27T08:00:00Z"
HOSTILE = b"cos\nsystem\n(S'true'\ntR."


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strongroom", *map(str, arguments)])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


def keys(folder: Path, name: str = "k", algorithm: str = "ecdsa-p256") -> tuple[Path, Path]:
    """A private key that only its owner can read, and its public half."""
    key = SigningKey.generate(algorithm)  # type: ignore[arg-type] # one of the names
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.touch(0o600)
    private.write_bytes(key.pem())
    public.write_bytes(key.verifying_key.pem())
    return private, public


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with what makes signing hard: odd names, empty folders, git's files, many files."""
    folder = tmp_path / "model"
    for path, content in {
        "MLmodel": b"flavors: {}\n",
        "weights/layer 1.bin": bytes(3 << 20),
        "weights/ünïcode-\N{SNOWMAN}-\N{GRINNING FACE}.bin": b"x",
        "weights/e\u0301.txt": b"decomposed",
        "weights/\xe9.txt": b"composed",
        "a-b/c": b"1",
        "a/b": b"2",
        "empty.bin": b"",
        "line\nbreak": b"3",
        "colon:0:5": b"4",
        ".gitattributes": b"*.bin filter=lfs\n",
        ".git/config": b"[core]\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "many").mkdir()
    for number in range(150):
        (folder / "many" / str(number)).write_bytes(b"%d" % number)
    return folder


# ---- with the stock tool ----


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384"])
def test_what_we_sign_verifies_there_and_back(
    run: Run, stock: StockTools, model: Path, tmp_path: Path, algorithm: str
) -> None:
    private, public = keys(tmp_path, algorithm=algorithm)
    ours, theirs = model / "model.sig", tmp_path / "theirs.sig"
    code, out, err = run(
        "sign", model, "--key", private, "--signature", ours, "--json", "--no-scan"
    )
    assert code == 0, err
    assert json.loads(out)["not_covered"] == [".git/config", ".gitattributes"]
    assert stock.verify(model, ours, public_key=str(public)) == ""
    assert run("verify", model, "--signature", ours, "--public-key", public)[0] == 0
    ours.unlink()
    assert stock.sign(model, theirs, key=str(private)) == ""
    code, out, err = run("verify", model, "--signature", theirs, "--public-key", public, "--json")
    assert code == 0, err
    assert json.loads(out)["files"] == 160
    assert "not covered" in err
    _, other = keys(tmp_path, "other", algorithm)
    assert "mismatch" in stock.verify(model, theirs, public_key=str(other))
    assert run("verify", model, "--signature", theirs, "--public-key", other)[0] == 5


@pytest.mark.parametrize("how", [{"shard_size": 1 << 20}, {"algorithm": "blake3"}])
def test_other_ways_to_hash_are_read(
    run: Run, stock: StockTools, model: Path, tmp_path: Path, how: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    private, public = keys(tmp_path)
    (model / "colon:0:5").unlink()  # the stock tool cannot name its pieces
    signature = tmp_path / "model.sig"
    assert stock.sign(model, signature, key=str(private), **how) == ""
    arguments = ("verify", model, "--signature", signature, "--public-key", public)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "blake3", None)
        code, _, err = run(*arguments)
        assert ("no library" in err) == (code == 1) == ("algorithm" in how)
    if "algorithm" in how:
        pytest.importorskip("blake3")
    code, _, err = run(*arguments)
    assert code == 0, err
    with (model / "weights/layer 1.bin").open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"!")
    code, _, err = run(*arguments)
    assert code == 5
    assert "changed: `weights/layer 1.bin`" in err


def test_certificates_work_both_ways(
    run: Run, stock: StockTools, model: Path, tmp_path: Path
) -> None:
    root = Authority.root("clinic root")
    middle = root.authority("clinic models")
    leaf, key = middle.person("Ana Ito")
    person = Authority(leaf, key)
    for name, content in {
        "root.pem": root.pem, "middle.pem": middle.pem, "leaf.pem": person.pem,
        "chain.pem": person.pem + middle.pem,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    (tmp_path / "k.pem").touch(0o600)
    (tmp_path / "k.pem").write_bytes(key.pem())
    signed = (
        "--key",
        "k.pem",
        "--certificate",
        "chain.pem",
        "--signature",
        "ours.sig",
        "--no-scan",
    )
    assert run("sign", model, *signed)[0] == 0
    chain = [str(tmp_path / "root.pem")]
    assert stock.verify(model, tmp_path / "ours.sig", chain=chain) == ""
    assert stock.sign(
        model, tmp_path / "theirs.sig", key=str(tmp_path / "k.pem"),
        certificate=str(tmp_path / "leaf.pem"), chain=[str(tmp_path / "middle.pem")],
    ) == ""  # fmt: skip
    for signature in ("ours.sig", "theirs.sig"):
        told = ("verify", model, "--signature", signature, "--certificate-chain")
        code, out, err = run(*told, "root.pem", "--at", MOMENT, "--json")
        assert code == 0, err
        assert json.loads(out)["signer"] == "CN=Ana Ito"
        assert run(*told, "root.pem", "--at", "2050-01-01")[0] == 5
        (tmp_path / "other.pem").write_bytes(Authority.root("clinic root").pem)
        assert run(*told, "other.pem", "--at", MOMENT)[0] == 5
        assert run(*told, "root.pem", "--at", "soon")[0] == 2
        assert run("verify", model, "--signature", signature, "--public-key", "k.pem")[0] == 1


def test_links_are_refused_unless_both_sides_follow_them(
    run: Run, stock: StockTools, tmp_path: Path
) -> None:
    private, public = keys(tmp_path)
    model = tmp_path / "m"
    model.mkdir()
    (tmp_path / "outside.bin").write_bytes(b"weights")
    (model / "a.bin").symlink_to(tmp_path / "outside.bin")
    sign = ("sign", model, "--key", private)
    code, _, err = run(*sign)
    assert code == 1
    assert "is a link" in err
    assert "symlink" in stock.sign(model, tmp_path / "s", key=str(private))
    assert run(*sign, "--follow-links")[0] == 0
    verify = ("verify", model, "--public-key", public)
    assert run(*verify)[0] == 1
    assert run(*verify, "--follow-links")[0] == 0
    assert stock.verify(model, tmp_path / "model.sig", public_key=str(public), links=True) == ""
    (tmp_path / "outside.bin").write_bytes(b"others")
    assert run(*verify, "--follow-links")[0] == 5
    (model / "sub").symlink_to(tmp_path)
    code, _, err = run(*sign, "--follow-links")
    assert code == 1
    assert "link to a folder" in err
    assert run("sign", model / "sub", "--key", private)[0] == 1


def test_a_single_file(run: Run, stock: StockTools, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    assert run("sign", "m.onnx", "--key", private, "--no-scan")[0] == 0
    assert stock.verify(tmp_path / "m.onnx", tmp_path / "model.sig", public_key=str(public)) == ""
    assert run("verify", "m.onnx", "--public-key", public)[0] == 0
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08")
    assert run("verify", "m.onnx", "--public-key", public)[0] == 5


# ---- what was changed ----


def test_every_change_is_told(run: Run, model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    assert run("sign", model, "--key", private, "--no-scan")[0] == 0
    verify = ("verify", model, "--public-key", public)
    assert run(*verify)[0] == 0
    (model / "a/b").write_bytes(b"3")
    (model / "MLmodel").rename(model / "mlmodel")
    (model / "extra\x1b[2J.pkl").write_bytes(b"")
    (model / "colon:0:5").unlink()
    code, _, err = run(*verify)
    assert code == 5
    assert "changed: `a/b`" in err
    assert "missing: `MLmodel`, `colon:0:5`" in err
    assert "added: `extra [2J.pkl`, `mlmodel`" in err
    assert "\x1b" not in err
    for path in (model / "many").iterdir():
        path.unlink()
    assert "and 144 more" in run(*verify)[2]


def test_signatures_are_not_exchanged(run: Run, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.bin").write_bytes(name.encode())
        told = ("--key", private, "--signature", f"{name}.sig")
        assert run("sign", name, *told)[0] == 0
    by = ("--signature", "second.sig", "--public-key", public)
    assert run("verify", "second", *by)[0] == 0
    code, _, err = run("verify", "first", *by)
    assert code == 5
    assert "changed: `w.bin`" in err
    # No server is in this: nothing has to be restored, whatever is wrong with a signature.
    _, other = keys(tmp_path, "other")
    (tmp_path / "cut.sig").write_bytes((tmp_path / "second.sig").read_bytes()[:-9])
    for signature, key in (("second.sig", other), ("cut.sig", public)):
        code, _, err = run("verify", "second", "--signature", signature, "--public-key", key)
        assert code == 5
        assert "get the signature again" in " ".join(err.split())
        assert "backup" not in err


def test_a_signed_statement_about_files_is_verified_against_them(run: Run, tmp_path: Path) -> None:
    key = SigningKey.generate("ecdsa-p256")
    (tmp_path / "k.pub.pem").write_bytes(key.verifying_key.pem())
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"w")
    subject = dsse.Subject("w", sha256(b"w").hexdigest())
    statement = dsse.Statement((subject,), "https://slsa.dev/provenance/v1", {})
    (tmp_path / "p.json").write_bytes(dsse.sign(statement, [key]))
    verify = ("verify", "m", "--signature", "p.json", "--public-key", "k.pub.pem")
    code, out, err = run(*verify, "--json")
    assert code == 0, err
    assert json.loads(out)["model"] == "https://slsa.dev/provenance/v1"
    (tmp_path / "m/x").write_bytes(b"")
    assert "added: `x`" in run(*verify)[2]
    (tmp_path / "m/x").unlink()
    (tmp_path / "m/w").write_bytes(b"v")
    assert run(*verify)[0] == 5
    _, other = keys(tmp_path, "other")
    (tmp_path / "m/w").write_bytes(b"w")
    assert run("verify", "m", "--signature", "p.json", "--public-key", other)[0] == 5


def test_what_is_left_out_is_said(run: Run, model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    told = ("--ignore", model / "many", "--ignore", "model/a/b", "--ignore", "elsewhere")
    assert run("sign", model, "--key", private, "--no-scan", *told)[0] == 0
    (model / "many/1").write_bytes(b"other")
    (model / "a/b").write_bytes(b"other")
    code, out, err = run("verify", model, "--public-key", public, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["files"] == 9
    assert "many/1" in found["not_covered"]
    assert "a/b" in found["not_covered"]
    assert "not covered" in err
    (model / "manyfold").write_bytes(b"")
    assert run("verify", model, "--public-key", public)[0] == 5


def test_hostile_folders(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = keys(tmp_path)
    model = tmp_path / "m"
    model.mkdir()
    sign = ("sign", model, "--key", private)
    assert run(*sign)[0] == 1  # nothing there
    (model / "w").write_bytes(b"w")
    assert run(*sign)[0] == 0
    os.mkfifo(model / "pipe")
    assert "neither a file" in run(*sign)[2]
    assert run("verify", model, "--public-key", public)[0] == 1
    (model / "pipe").unlink()
    (model / os.fsdecode(b"\xff.bin")).write_bytes(b"")
    assert "not UTF-8" in run(*sign)[2]
    (model / os.fsdecode(b"\xff.bin")).unlink()
    monkeypatch.setattr(model_folder, "MAX_FILES", 1)
    (model / "x").write_bytes(b"x")
    code, _, err = run(*sign)
    assert code == 1
    assert "may have 1 files" in err


def test_a_file_that_changes_meanwhile_is_not_signed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, _ = keys(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"honest")
    hash_files = model_folder.hash_files

    def meddle(*given: object) -> object:
        resources = hash_files(*given)  # type: ignore[arg-type] # handed on
        (tmp_path / "m/w").write_bytes(b"other!")
        return resources

    monkeypatch.setattr(model_folder, "hash_files", meddle)
    code, _, err = run("sign", "m", "--key", private)
    assert code == 1
    assert "changed while it was read" in err
    assert not (tmp_path / "model.sig").exists()


# ---- keys, scan, output ----


def test_an_attack_is_not_signed(run: Run, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.pkl").write_bytes(HOSTILE)
    code, _, err = run("sign", "m", "--key", private)
    assert code == 6
    assert "not signed" in err
    assert not (tmp_path / "model.sig").exists()
    assert run("sign", "m", "--key", private, "--no-scan")[0] == 0
    assert run("verify", "m", "--public-key", public)[0] == 0


def test_keys_come_from_files_stdin_or_under_a_passphrase(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = keys(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"w")
    verify = ("verify", "m", "--public-key", public)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(private.read_bytes())))
    assert run("sign", "m", "--key", "-")[0] == 0
    assert run(*verify)[0] == 0
    locked = load_pem_private_key(private.read_bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    private.write_bytes(locked)
    for name, content in {"right": "open sesame\n", "wrong": "open\n"}.items():
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(content)
    (tmp_path / "model.sig").unlink()
    assert run("sign", "m", "--key", private, "--passphrase-file", "wrong")[0] == 1
    assert run("sign", "m", "--key", private)[0] == 2  # nobody to ask
    assert not (tmp_path / "model.sig").exists()
    assert run("sign", "m", "--key", private, "--passphrase-file", "right")[0] == 0
    assert run(*verify)[0] == 0
    private.chmod(0o644)
    code, _, err = run("sign", "m", "--key", private, "--passphrase-file", "right")
    assert code == 1
    assert "others" in err


def test_keys_of_other_kinds_are_refused(run: Run, tmp_path: Path) -> None:
    private, public = keys(tmp_path, algorithm="ed25519")
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"w")
    code, _, err = run("sign", "m", "--key", private)
    assert code == 1
    assert "cannot verify Ed25519" in err
    good, _ = keys(tmp_path, "good")
    assert run("sign", "m", "--key", good)[0] == 0
    assert run("verify", "m", "--public-key", public)[0] in {1, 5}
    assert run("verify", "m", "--public-key", good)[0] == 1  # a private key is no public one


def test_nothing_is_written_over(run: Run, tmp_path: Path) -> None:
    private, _ = keys(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"w")
    code, _, err = run("sign", "m", "--key", private, "--signature", "m/w")
    assert code == 2
    assert "no signature" in err
    assert (tmp_path / "m/w").read_bytes() == b"w"
    assert run("sign", "m", "--key", private)[0] == 0
    assert run("sign", "m", "--key", private)[0] == 0  # an older signature is replaced
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_missing_is_said(run: Run, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    assert run("sign", "nothing", "--key", private)[0] == 2
    (tmp_path / "m").mkdir()
    (tmp_path / "m/w").write_bytes(b"w")
    assert run("verify", "m", "--public-key", public)[0] == 1
    assert run("sign", "m", "--key", private)[0] == 0
    for options in ((), ("--public-key", public, "--certificate-chain", public)):
        assert run("verify", "m", "--signature", "model.sig", *options)[0] == 2
    (tmp_path / "model.sig").write_bytes(b"{}")
    assert run("verify", "m", "--public-key", public)[0] == 5
