"""`strongroom sign --pkcs11-uri`, with SoftHSM as the device and the stock tool as the judge."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.crypto.authorities import Authority
from tests.faces.cli.command_line import Run, caller
from tests.hardware import Token, software_token
from tests.stock_tools import StockTools, stock_tools

from strongroom.engines.crypto.signing import SigningKey


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    with software_token(tmp_path_factory.mktemp("token")) as found:
        yield found


@pytest.fixture(scope="module")
def stock(token: Token) -> Iterator[StockTools]:
    with stock_tools() as tools:
        yield tools


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(bytes(1_000))
    return folder


@pytest.fixture
def pin(tmp_path: Path, token: Token) -> Path:
    path = tmp_path / "pin"
    path.touch(0o600)
    path.write_text(token.pin + "\n")
    return path


def test_there_and_back_with_the_stock_tool(
    run: Run, stock: StockTools, token: Token, model: Path, pin: Path, tmp_path: Path
) -> None:
    key = SigningKey.generate("ecdsa-p384")
    token.keep(key.pem(), "models", "a1")
    public = tmp_path / "public.pem"
    public.write_bytes(key.verifying_key.pem())
    ours, theirs = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    code, out, err = run(
        "sign", model, "--pkcs11-uri", token.uri("models"), "--pkcs11-module", token.driver,
        "--pin-file", "-", "--signature", ours, "--json", stdin=token.pin + "\n",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["key_id"] == key.verifying_key.key_id
    assert token.pin not in out + err + ours.read_text()
    assert stock.verify(model, ours, public_key=str(public)) == ""
    uri = f"{token.uri('models')}?pin-source=file:{pin}&module-path={token.driver}"
    # The stock tool looks for the driver by its name, in a folder, and keeps the line end of a PIN.
    pin.write_text(token.pin)
    assert stock.sign(model, theirs, uri=f"{uri}&module-name=libsofthsm2") == ""
    for signature in (ours, theirs):
        assert run("verify", model, "--signature", signature, "--public-key", public)[0] == 0
    assert run("sign", model, "--pkcs11-uri", uri, "--signature", ours)[0] == 0


def test_by_a_certificate(
    run: Run, stock: StockTools, token: Token, model: Path, pin: Path, tmp_path: Path
) -> None:
    root = Authority.root("root")
    der, key = root.person("Ann")
    token.keep(key.pem(), "certified", "b1")
    certificate, roots = tmp_path / "certificate.pem", tmp_path / "roots.pem"
    certificate.write_bytes(Authority(der, key).pem)
    roots.write_bytes(root.pem)
    signing = [
        "sign", model, "--pkcs11-uri", token.uri("certified"), "--pkcs11-module", token.driver,
        "--pin-file", pin, "--certificate",
    ]  # fmt: skip
    code, _, err = run(*signing, certificate)
    assert code == 0, err
    moment = "2026-11-27T08:00:00Z"
    code, _, err = run("verify", model, "--certificate-chain", roots, "--at", moment)
    assert code == 0, err
    assert "CN=Ann" in err
    assert stock.verify(model, tmp_path / "model.sig", chain=[str(roots)]) == ""
    (tmp_path / "model.sig").unlink()
    code, _, err = run(*signing, roots)
    assert (code, "of another key" in err) == (1, True)
    assert not (tmp_path / "model.sig").exists()


def test_pins_are_never_arguments(
    run: Run, token: Token, model: Path, pin: Path, tmp_path: Path
) -> None:
    token.keep(SigningKey.generate("ecdsa-p256").pem(), "pins", "c1")
    uri = token.uri("pins")
    driver = ["--pkcs11-module", token.driver]
    code, _, err = run("sign", model, "--pkcs11-uri", f"{uri}?pin-value=secret-pin", *driver)
    assert (code, "everyone on this machine" in err, "secret-pin" in err) == (1, True, False)
    code, _, err = run("sign", model, "--pkcs11-uri", uri, *driver)
    assert (code, "the pin is needed" in err) == (2, True)
    code, _, err = run("sign", model, "--pkcs11-uri", uri, *driver, "--pin-file", "-", stdin="1234")
    assert (code, "PIN is wrong" in err) == (1, True)
    pin.chmod(0o644)
    code, _, err = run("sign", model, "--pkcs11-uri", uri, *driver, "--pin-file", pin)
    assert (code, "by others" in err) == (1, True)
    code, _, err = run("sign", model, "--pkcs11-uri", f"{uri}?pin-source=file:{pin}", *driver)
    assert (code, "by others" in err) == (1, True)
    assert not (tmp_path / "model.sig").exists()
