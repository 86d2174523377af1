"""`strongroom sign --sigstore` and `verify --sigstore`, with services on this machine."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.engines.crypto.sigstore_deployment import NAME, PROVIDER, Deployment
from tests.faces.cli.command_line import Run, caller
from tests.faces.cli.sigstore_services import Services, identity_token, services
from tests.stock_tools import StockTools

from strongroom.errors import UnreachableError
from strongroom.faces.cli import sigstore_signing

pytest.importorskip("sigstore")
pytest.importorskip("asn1crypto")

HOSTILE = b"cos\nsystem\n(S'true'\ntR."
LOGS = [1, 2]


@pytest.fixture(scope="module")
def running() -> Iterator[Services]:
    with services(Deployment()) as found:
        yield found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}\n")
    (folder / "weights ü.bin").write_bytes(bytes(1_000))
    return folder


@pytest.fixture
def config(tmp_path: Path, running: Services) -> Callable[[int], Path]:
    def made(version: int) -> Path:
        path = tmp_path / f"trust{version}.json"
        path.write_bytes(running.deployment.trust_config(running.url, version))
        running.calls.clear()
        running.broken.clear()
        return path

    return made


def who(config: Path) -> list[str | Path]:
    return ["--sigstore", "--identity", NAME, "--identity-provider", PROVIDER,
            "--trust-config", config]  # fmt: skip


@pytest.mark.parametrize("version", LOGS)
def test_there_and_back_with_the_stock_tool(
    run: Run, stock: StockTools, model: Path, tmp_path: Path, version: int, running: Services,
    config: Callable[[int], Path],
) -> None:  # fmt: skip
    trust, ours, theirs = config(version), tmp_path / "ours.sig", tmp_path / "theirs.sig"
    token = identity_token()
    code, out, err = run(
        "sign", model, "--sigstore", "--trust-config", trust, "--identity-token-file", "-",
        "--signature", ours, "--json", stdin=token + "\n",
    )  # fmt: skip
    assert code == 0, err
    assert (json.loads(out)["identity"], json.loads(out)["identity_provider"]) == (NAME, PROVIDER)
    stamps = ["/stamp"] if version == 2 else []
    assert running.calls == ["/api/v2/signingCert", *stamps, f"/api/v{version}/log/entries"]
    assert token not in out + err + ours.read_text()
    running.calls.clear()

    identity = {"identity": NAME, "provider": PROVIDER, "trust_config": str(trust)}
    assert stock.verify(model, ours, **identity) == ""
    assert stock.verify(model, ours, **{**identity, "identity": "bob@clinic.example"}) != ""
    assert stock.sign(model, theirs, token=token, trust_config=str(trust)) == ""
    running.calls.clear()
    for signature in (ours, theirs):
        code, out, err = run("verify", model, "--signature", signature, *who(trust), "--json")
        assert code == 0, err
        found = json.loads(out)
        assert (found["signer"], found["files"]) == (f"{NAME} ({PROVIDER})", 2)
        assert found["signed_at"].startswith("20")
    assert running.calls == []  # verifying goes nowhere

    (model / "config.json").write_bytes(b"[]\n")
    code, _, err = run("verify", model, "--signature", ours, *who(trust))
    assert code == 5
    assert "changed: `config.json`" in err


def test_others_are_refused(
    run: Run, model: Path, tmp_path: Path, config: Callable[[int], Path]
) -> None:
    trust = config(2)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(identity_token())
    made = run("sign", model, "--sigstore", "--trust-config", trust, "--identity-token-file", token)
    assert made[0] == 0, made
    signature = ["--signature", tmp_path / "model.sig"]
    foreign = tmp_path / "foreign.json"
    foreign.write_bytes(Deployment().trusted_root())
    for changed in (
        ["--sigstore", "--identity", "bob@clinic.example", *who(trust)[3:]],
        [*who(trust)[:3], "--identity-provider", "https://other.example", *who(trust)[5:]],
        who(foreign),
    ):
        code, out, err = run("verify", model, *signature, *changed)
        assert (code, out) == (5, "")
        assert "is not good" in err
    code, _, err = run("verify", model, *signature, "--public-key", token)
    assert code == 1
    assert run("verify", model, *signature, *who(trust))[0] == 0


def test_the_identity_of_a_ci_run(
    run: Run, model: Path, tmp_path: Path, running: Services, config: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    trust = config(1)
    for name in [name for name in os.environ if name.startswith(("GITHUB", "GITLAB", "BUILDKITE"))]:
        monkeypatch.delenv(name)
    arguments = ["sign", model, "--sigstore", "--trust-config", trust, "--ambient-identity"]
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{running.url}/ci-token?run=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-run",
    }.items():
        monkeypatch.setenv(name, value)
    code, _, err = run(*arguments)
    assert code == 0, err
    assert running.calls[0] == "/ci-token"
    assert run("verify", model, "--signature", tmp_path / "model.sig", *who(trust))[0] == 0
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    code, _, err = run(*arguments)
    assert code == 1
    assert "no identity" in err


def test_what_services_cannot_do_leaves_no_signature(
    run: Run, model: Path, tmp_path: Path, running: Services, config: Callable[[int], Path]
) -> None:
    trust = config(2)

    def sign(token: str, *more: str | Path, config: Path = trust) -> tuple[int, str]:
        code, out, err = run(
            "sign", model, "--sigstore", "--trust-config", config, "--identity-token-file", "-",
            *more, stdin=token,
        )  # fmt: skip
        assert out == ""
        assert not (tmp_path / "model.sig").exists()
        assert not token or token not in err
        return code, err

    good = identity_token()
    for token in ("", "no token", "a.b.c", identity_token(aud="another"),
                  identity_token(lives=timedelta(minutes=-5))):  # fmt: skip
        assert sign(token)[0] == 1
    assert running.calls == []
    assert sign(good[:-4] + "AAAA")[0] == 1  # not the provider's
    assert running.calls == ["/api/v2/signingCert"]
    for path, code in (("/api/v2/signingCert", 1), ("/api/v2/log/entries", 1), ("/stamp", 1)):
        running.broken = {path}
        assert sign(good)[0] == code, path
    running.broken.clear()

    trusting = tmp_path / "others.json"
    fields = json.loads(trust.read_bytes())
    fields["trustedRoot"] = json.loads(Deployment().trusted_root())
    trusting.write_text(json.dumps(fields))
    assert sign(good, config=trusting)[0] == 1  # its certificate log is not known
    others = fields["trustedRoot"]["timestampAuthorities"]
    fields["trustedRoot"] = json.loads(running.deployment.trusted_root(timestampAuthorities=others))
    trusting.write_text(json.dumps(fields))
    assert sign(good, config=trusting)[0] == 5  # nobody whom the root trusts told the time
    closed = tmp_path / "closed.json"
    closed.write_bytes(running.deployment.trust_config("http://127.0.0.1:9", 2))
    assert sign(good, config=closed)[0] == 7
    for url in ("http://clinic.example", "ftp://127.0.0.1", "https://", "file:///etc/passwd"):
        closed.write_bytes(running.deployment.trust_config(url, 2))
        code, err = sign(good, config=closed)
        assert (code, "HTTPS" in err) == (1, True)
    closed.write_bytes(running.deployment.trusted_root())
    code, err = sign(good, config=closed)
    assert (code, "names no services" in err) == (1, True)

    (model / "model.pkl").write_bytes(HOSTILE)
    running.calls.clear()
    assert sign(good)[0] == 6
    assert running.calls == []


def test_usage(run: Run, model: Path, tmp_path: Path, config: Callable[[int], Path]) -> None:
    trust = config(1)
    key = tmp_path / "key.pem"
    for arguments in (
        ["sign", model],
        ["sign", model, "--sigstore"],
        ["sign", model, "--sigstore", "--key", key],
        ["sign", model, "--sigstore", "--trust-config", trust],
        ["sign", model, "--sigstore", "--certificate", key, "--trust-config", trust],
        ["sign", model, "--sigstore", "--trust-config", trust, "--ambient-identity",
         "--identity-token-file", key],
        *(["sign", model, "--key", key, *more] for more in (
            ["--trust-config", trust], ["--identity-token-file", key], ["--ambient-identity"],
            ["--pin-file", key], ["--pkcs11-module", key], ["--pkcs11-uri", "pkcs11:object=a"],
        )),
        ["verify", model, "--sigstore"],
        ["verify", model, "--identity", NAME],
        ["verify", model, "--trust-config", trust],
        ["verify", model, *who(trust)[:5]],
        ["verify", model, *who(trust), "--public-key", key],
        ["verify", model, *who(trust), "--at", "2026-11-27T08:00:00Z"],
        ["verify", model, *who(trust)[1:], "--public-key", key],
    ):  # fmt: skip
        (tmp_path / "model.sig").write_bytes(b'{"application/vnd.dev.sigstore.bundle')
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), (arguments, err)
    token = tmp_path / "token"
    token.write_text(identity_token())
    token.chmod(0o644)
    code, _, err = run(
        "sign", model, "--sigstore", "--trust-config", trust, "--identity-token-file", token
    )
    assert (code, "read by others" in err) == (1, True)


def test_services_that_never_answer_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def wait() -> bytes:
        released.wait(60)
        return b""

    monkeypatch.setattr(sigstore_signing, "_SECONDS", 0.05)
    with pytest.raises(UnreachableError, match="did not answer"):
        sigstore_signing._in_time(wait)
    released.set()
