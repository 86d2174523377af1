"""A token to keep keys in: SoftHSM, a device in software, with the published PKCS #11 interface."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_FOLDERS = (
    "/usr/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu/softhsm",
    "/usr/lib/aarch64-linux-gnu/softhsm",
    "/usr/lib64/pkcs11",
    "/opt/homebrew/lib/softhsm",
)
_DRIVERS = [Path(folder, "libsofthsm2.so") for folder in _FOLDERS]


@dataclass(frozen=True)
class Token:
    """A token that was made for a test.

    Attributes:
        name: its label.
        pin: whoever knows it may sign.
        driver: the library to reach it.
    """

    name: str
    pin: str
    driver: Path
    folder: Path

    def keep(self, pem: bytes, label: str, identifier: str = "a1") -> None:
        """Put a private key there, with its public key; `identifier` in hex."""
        key = load_pem_private_key(pem, None)
        file = self.folder / "imported.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            _tool("--import", str(file), "--token", self.name, "--label", label,
                  "--id", identifier, "--pin", self.pin)  # fmt: skip
        finally:
            file.unlink()

    def another(self, name: str) -> None:
        """One more token in the same place."""
        _tool("--init-token", "--free", "--label", name, "--pin", self.pin, "--so-pin", "87654321")

    def uri(self, label: str, *more: str) -> str:
        """Of a key in it."""
        return ";".join([f"pkcs11:token={self.name}", f"object={label}", *more])


def _tool(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, timeout=60)


@contextmanager
def software_token(folder: Path) -> Iterator[Token]:
    """A new token below `folder`; skips the test where SoftHSM or PyKCS11 is not installed."""
    pytest.importorskip("PyKCS11")
    driver = next((path for path in _DRIVERS if path.is_file()), None)
    if driver is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed here (softhsm2)")
    tokens, config = folder / "tokens", folder / "softhsm2.conf"
    tokens.mkdir()
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(config)
    try:
        token = Token("clinic", "4711-geheim", driver, folder)
        token.another(token.name)
        yield token
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before
