"""`strongroom bom`, judged by a strict CycloneDX validator and against the model's signature."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.faces.cli.command_line import Run, caller
from tests.stock_tools import StockTools

from strongroom.engines.crypto.model_signature import verify_by_key
from strongroom.engines.crypto.signing import SigningKey


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for path, content in {
        "weights ü.bin": bytes(1_000),
        "config.json": b'{"model_type": "bert", "architectures": ["BertModel"]}',
        "README.md": b"---\nlicense: mit\ndatasets: [imdb]\nbase_model: [a/b, own]\n---\n",
        "requirements.txt": b"numpy==2.4.6\nscikit-learn\n",
        "deep/conda.yaml": b"channels: [conda-forge]\ndependencies: [python=3.11, libfoo==1.2]\n",
        ".git/config": b"[core]\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_bill_that_others_read(run: Run, stock: StockTools, model: Path, tmp_path: Path) -> None:
    code, out, err = run("bom", model, "--name", "clinic/triage", "--version", "3")
    assert code == 0, err
    assert stock.validate(out, "1.7") == ""
    found = json.loads(out)
    subject = found["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("clinic/triage", "3")
    assert subject["licenses"] == [{"expression": "MIT"}]
    assert subject["pedigree"]["ancestors"] == [
        {"type": "machine-learning-model", "name": "a/b", "purl": "pkg:huggingface/a/b"},
        {"type": "machine-learning-model", "name": "own"},
    ]
    assert subject["modelCard"]["modelParameters"] == {
        "architectureFamily": "bert", "modelArchitecture": "BertModel",
        "datasets": [{"ref": "dataset:0"}],
    }  # fmt: skip
    files = {one["name"]: one["hashes"] for one in found["components"] if one["type"] == "file"}
    assert sorted(files) == sorted(
        ["weights ü.bin", "config.json", "README.md", "requirements.txt", "deep/conda.yaml"]
    )
    assert files["weights ü.bin"] == [
        {"alg": "SHA-256", "content": sha256(bytes(1_000)).hexdigest()}
    ]
    refs = {one["purl"] for one in found["components"] if one["type"] == "library"}
    assert {"pkg:pypi/numpy@2.4.6", "pkg:pypi/scikit-learn", "pkg:conda/libfoo@1.2"} <= refs
    assert "not listed: `.git/config`" in err
    assert run("bom", model, "--name", "clinic/triage", "--version", "3")[1] == out

    # The digest is the one that a signature of the folder bears.
    key = SigningKey.generate("ecdsa-p256")
    private = tmp_path / "key.pem"
    private.touch(0o600)
    private.write_bytes(key.pem())
    signature = model / "model.sig"
    assert run("sign", model, "--key", private, "--signature", signature, "--no-scan")[0] == 0
    manifest = verify_by_key(signature.read_bytes(), key.verifying_key)
    digest = {"name": "strongroom:model-digest", "value": manifest.statement().subjects[0].sha256}
    assert subject["properties"] == [digest]
    assert json.loads(run("bom", model)[1])["metadata"]["component"]["properties"] == [digest]


def test_a_file_and_a_change(run: Run, stock: StockTools, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"1")
    code, out, err = run("bom", file)
    assert (code, stock.validate(out, "1.7")) == (0, ""), err
    first = json.loads(out)
    assert [one["name"] for one in first["components"]] == ["model.onnx"]
    assert "modelCard" not in first["metadata"]["component"]
    file.write_bytes(b"2")
    assert json.loads(run("bom", file)[1])["serialNumber"] != first["serialNumber"]


def test_what_cannot_be_listed(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("bom", empty)[:2] == (1, "")
    assert run("bom", tmp_path / "nothing")[:2] == (2, "")
    (empty / "link").symlink_to("/etc/passwd")
    assert run("bom", empty)[:2] == (1, "")
