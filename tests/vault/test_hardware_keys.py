"""Keys in devices: URIs by RFC 7512, and signatures of a token that verify elsewhere."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.hardware import Token, software_token

from strongroom.engines.crypto.signing import Algorithm, SigningKey, VerifyingKey
from strongroom.errors import (
    KeyUnavailableError,
    MissingExtraError,
    NotFoundError,
    StrongroomError,
    TamperedError,
    ValidationError,
)
from strongroom.vault import hardware_keys
from strongroom.vault.hardware_keys import KeyUri, open_key

KEYS: dict[str, Algorithm] = {"first": "ecdsa-p256", "second": "ecdsa-p384"}


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    with software_token(tmp_path_factory.mktemp("token")) as found:
        yield found


@pytest.fixture(scope="module")
def publics(token: Token) -> dict[str, VerifyingKey]:
    found = {}
    for number, (label, algorithm) in enumerate(KEYS.items()):
        key = SigningKey.generate(algorithm)
        token.keep(key.pem(), label, f"0{number}")
        found[label] = key.verifying_key
    return found


def never() -> str:
    raise AssertionError("a PIN was asked for")


# ---- URIs ----


def test_uris_name_keys() -> None:
    uri = KeyUri.parse(
        "pkcs11:token=The%20Software%20Token;manufacturer=Sn%C3%B6;serial=42;model=m;slot-id=7;"
        "object=my-key;id=%69%95%3E%5C%F4%BD;type=private"
        "?module-path=/usr/lib/libp11.so&pin-source=file:/run/pin"
    )
    assert dict(uri.token) == {
        "label": "The Software Token", "manufacturerID": "Sn\xf6", "serialNumber": "42",
        "model": "m",
    }  # fmt: skip
    assert (uri.slot, uri.label, uri.identifier) == (7, "my-key", bytes.fromhex("69953e5cf4bd"))
    assert (uri.module, uri.pin_file) == (Path("/usr/lib/libp11.so"), Path("/run/pin"))


@pytest.mark.parametrize("text", [
    "", "object=a", "pkcs11:", "pkcs11:token=a", "pkcs11:object", "pkcs11:object=a;object=b",
    "pkcs11:object=a;color=red", "pkcs11:object=a;type=cert", "pkcs11:object=a;slot-id=x",
    "pkcs11:object=a;slot-id=-1", "pkcs11:object=%FF", "pkcs11:object=a?module-path=lib.so",
    "pkcs11:object=a?pin-source=pin", "pkcs11:object=a?pin-source=https://pin",
    "pkcs11:object=a?module-name=../lib", "pkcs11:object=a?pin-value=1234",
    "pkcs11:object=" + "a" * 5_000,
])  # fmt: skip
def test_what_names_no_key(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KeyUri.parse(text)
    assert "1234" not in str(caught.value)


def test_a_driver_that_is_not_there() -> None:
    with pytest.raises(NotFoundError):
        KeyUri.parse("pkcs11:object=a?module-name=surely-not-installed")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        uri = KeyUri.parse("pkcs11:" + text)
    except StrongroomError:
        return
    assert uri.label is not None or uri.identifier is not None


# ---- signing ----


@pytest.mark.parametrize("label", KEYS)
def test_what_a_device_signs_verifies(
    token: Token, publics: dict[str, VerifyingKey], label: str
) -> None:
    with open_key(KeyUri.parse(token.uri(label)), lambda: token.pin, token.driver) as key:
        assert key.verifying_key == publics[label]
        signatures = [key.sign(message) for message in (b"", b"one", b"one", bytes(1 << 20))]
    for message, signature in zip((b"", b"one", b"one", bytes(1 << 20)), signatures, strict=True):
        publics[label].verify(message, signature)
    with pytest.raises(TamperedError):
        publics[label].verify(b"two", signatures[1])
    assert len(set(signatures)) == 4


@pytest.mark.parametrize("rest", [
    "token=clinic;id=%00", "token=clinic;id=%00;object=first", "object=first",
    "token=clinic;object=first;manufacturer=SoftHSM%20project;model=SoftHSM%20v2",
])  # fmt: skip
def test_ways_to_name_a_key(token: Token, publics: dict[str, VerifyingKey], rest: str) -> None:
    uri = KeyUri.parse(f"pkcs11:{rest}?module-path={token.driver}")
    with open_key(uri, lambda: token.pin) as key:
        assert key.verifying_key == publics["first"]


@pytest.mark.parametrize("rest", [
    "token=other;object=first", "token=clinic;serial=1;object=first",
    "token=clinic;slot-id=1;object=first",
])  # fmt: skip
def test_no_pin_is_asked_for_another_token(
    token: Token, publics: dict[str, VerifyingKey], rest: str
) -> None:
    with (
        pytest.raises(NotFoundError),
        open_key(KeyUri.parse(f"pkcs11:{rest}"), never, token.driver),
    ):
        pass


@pytest.mark.parametrize("rest", ["object=third", "id=%00;object=second", "id=%07"])
def test_a_key_that_is_not_there(token: Token, publics: dict[str, VerifyingKey], rest: str) -> None:
    uri = KeyUri.parse(f"pkcs11:token=clinic;{rest}")
    with pytest.raises(NotFoundError), open_key(uri, lambda: token.pin, token.driver):
        pass


def test_wrong_pins(token: Token, publics: dict[str, VerifyingKey]) -> None:
    uri = KeyUri.parse(token.uri("first"))
    for pin in ("", "x", "4711", "1" * 300, "\0"):
        with pytest.raises(ValidationError) as caught, open_key(uri, lambda: pin, token.driver):  # noqa: B023 # used at once
            pass
        assert not pin or pin not in str(caught.value) or pin == "x"
    with open_key(uri, lambda: token.pin, token.driver) as key:
        key.sign(b"still open")


def test_keys_of_other_kinds(token: Token) -> None:
    keys = rsa.generate_private_key(65_537, 2_048), ec.generate_private_key(ec.SECP521R1())
    for number, key in enumerate(keys):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined] # both have it
        token.keep(pem, f"foreign{number}", f"f{number}")
        uri = KeyUri.parse(token.uri(f"foreign{number}"))
        with pytest.raises(ValidationError), open_key(uri, lambda: token.pin, token.driver):
            pass


def test_two_keys_of_one_name(token: Token, publics: dict[str, VerifyingKey]) -> None:
    for number in range(2):
        token.keep(SigningKey.generate("ecdsa-p256").pem(), "twin", f"e{number}")
    uri = KeyUri.parse(token.uri("twin"))
    with pytest.raises(NotFoundError) as caught, open_key(uri, lambda: token.pin, token.driver):
        pass
    assert "2 private keys" in str(caught.value)
    with open_key(KeyUri.parse(token.uri("twin", "id=%e1")), lambda: token.pin, token.driver):
        pass


def test_a_device_that_signs_something_else(
    token: Token, publics: dict[str, VerifyingKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_key(KeyUri.parse(token.uri("first")), lambda: token.pin, token.driver) as key:
        monkeypatch.setattr(key, "_verifying_key", publics["second"])
        with pytest.raises(KeyUnavailableError):
            key.sign(b"one")


def test_drivers_that_are_none(tmp_path: Path, token: Token) -> None:
    text = tmp_path / "driver.so"
    text.write_text("no library")
    uri = KeyUri.parse(token.uri("first"))
    cases: list[tuple[Path | None, type[StrongroomError]]] = [
        (None, ValidationError), (tmp_path / "none.so", NotFoundError), (text, KeyUnavailableError),
    ]  # fmt: skip
    for driver, error in cases:
        with pytest.raises(error), open_key(uri, never, driver):
            pass


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PyKCS11", None)
    with pytest.raises(MissingExtraError), open_key(KeyUri.parse("pkcs11:object=a"), never):
        pass


def test_names_of_drivers_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libtoken.so").touch()
    monkeypatch.setattr(hardware_keys, "_FOLDERS", (str(tmp_path),))
    assert KeyUri.parse("pkcs11:id=a?module-name=token").module == tmp_path / "libtoken.so"
