"""Private keys in devices (PKCS #11): named by a URI, used there, never read out.

A smart card, a hardware security module or SoftHSM signs a digest; the private key does not leave
it. Each signature is verified here before it is used. The PIN is asked for once, after the key's
token was found, for tokens lock themselves after a few wrong ones.

Source: RFC 7512 (URIs); PKCS #11 v3.1, sections 5.13 and 6.3 (ECDSA); SEC 1, section 2.3.4.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import (
    KeyUnavailableError,
    MissingExtraError,
    NotFoundError,
    TamperedError,
    ValidationError,
)

_SCHEME = "pkcs11:"
_MAX_URI = 4_096
_MAX_PIN = 256
_PATH = frozenset({"token", "manufacturer", "serial", "model", "slot-id", "object", "id", "type",
                   "library-description", "library-manufacturer", "library-version"})  # fmt: skip
_QUERY = frozenset({"module-path", "module-name", "pin-source", "pin-value"})
_INITIALIZED = 0x400
"""`CKF_TOKEN_INITIALIZED`: SoftHSM also lists the token that could be made next."""
_FOLDERS = ("/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/lib/x86_64-linux-gnu/pkcs11",
            "/usr/lib/aarch64-linux-gnu/pkcs11", "/usr/local/lib/pkcs11")  # fmt: skip
"""Where `module-name` is looked for."""
_CURVES: dict[bytes, tuple[ec.EllipticCurve, Callable[[bytes], Any]]] = {
    bytes.fromhex("06082a8648ce3d030107"): (ec.SECP256R1(), sha256),
    bytes.fromhex("06052b81040022"): (ec.SECP384R1(), sha384),
}
"""By `CKA_EC_PARAMS`, an object identifier in DER: the curve, and the digest that is signed."""


@dataclass(frozen=True, slots=True)
class KeyUri:
    """Which key of which token is meant.

    Attributes:
        token: what the token must be: by `label`, `manufacturerID`, `serialNumber` and `model`.
        slot: number of the slot, or None for any.
        label: of the key; None for any.
        identifier: `CKA_ID` of the key; None for any.
        module: the driver, where the URI names one.
        pin_file: the file with the PIN, where the URI names one.
    """

    token: Mapping[str, str]
    slot: int | None
    label: str | None
    identifier: bytes | None
    module: Path | None
    pin_file: Path | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI of RFC 7512.

        Raises:
            ValidationError: it is none, has an unknown attribute, names no key, or holds a PIN.
        """
        if not text.startswith(_SCHEME) or len(text) > _MAX_URI:
            raise ValidationError("a key in a device is named by a URI that begins with `pkcs11:`")
        path, _, query = text.removeprefix(_SCHEME).partition("?")
        found = _attributes(path, ";", _PATH)
        asked = _attributes(query, "&", _QUERY)
        if "pin-value" in asked:
            raise ValidationError(
                "the URI holds a PIN, which everyone on this machine can read",
                next_step="change the PIN; give it with --pin-file, or type it when asked",
            )
        if found.get("type", b"private") != b"private":
            raise ValidationError("the URI names an object that is no private key")
        if "object" not in found and "id" not in found:
            raise ValidationError(
                "the URI names no key", next_step="add `object=…` or `id=…` to it"
            )
        slot = _text(found, "slot-id")
        if slot is not None and not re.fullmatch("[0-9]{1,10}", slot):
            raise ValidationError("`slot-id` is a number")
        token = {
            field: value
            for name, field in (("token", "label"), ("manufacturer", "manufacturerID"),
                                ("serial", "serialNumber"), ("model", "model"))
            if (value := _text(found, name)) is not None
        }  # fmt: skip
        return cls(
            token=token, slot=None if slot is None else int(slot), label=_text(found, "object"),
            identifier=found.get("id"), module=_module(asked), pin_file=_pin_file(asked),
        )  # fmt: skip


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name not in known or name in found:
            raise ValidationError(f"the URI has an attribute `{name}` that is not understood")
        found[name] = unquote_to_bytes(value)
    return found


def _text(attributes: Mapping[str, bytes], name: str) -> str | None:
    try:
        return attributes[name].decode() if name in attributes else None
    except UnicodeDecodeError:
        raise ValidationError(f"`{name}` of the URI is not UTF-8") from None


def _module(query: Mapping[str, bytes]) -> Path | None:
    path, name = _text(query, "module-path"), _text(query, "module-name")
    if path is not None:
        if not path.startswith("/"):
            raise ValidationError("`module-path` of the URI is not an absolute path")
        return Path(path)
    if name is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValidationError("`module-name` of the URI is not the name of a library")
    places = [Path(folder, f"{before}{name}.so") for folder in _FOLDERS for before in ("", "lib")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise NotFoundError(
            f"there is no driver `{name}` in {', '.join(_FOLDERS)}",
            next_step="give its file with --pkcs11-module",
        )
    return found


def _pin_file(query: Mapping[str, bytes]) -> Path | None:
    source = _text(query, "pin-source")
    if source is None:
        return None
    path = source.removeprefix("file:").removeprefix("//")
    if not path.startswith("/"):
        raise ValidationError("`pin-source` of the URI is not the absolute path of a file")
    return Path(path)


class HardwareKey:
    """An ECDSA key in a token that somebody is logged in to. Open it with `open_key`."""

    def __init__(self, session: Any, handle: Any, public: ec.EllipticCurvePublicKey) -> None:  # noqa: ANN401 # of the library, which has no types
        self._session = session
        self._handle = handle
        self._verifying_key = VerifyingKey.of(public)
        self._digest = next(
            digest for curve, digest in _CURVES.values() if curve.name == public.curve.name
        )

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return self._verifying_key

    def sign(self, message: bytes) -> bytes:
        """A signature in DER.

        Raises:
            KeyUnavailableError: the token does not sign, or signs what does not verify.
        """
        library = _library()
        try:
            mechanism = library.Mechanism(library.CKM_ECDSA, None)
            raw = bytes(self._session.sign(self._handle, self._digest(message).digest(), mechanism))
        except library.PyKCS11Error as error:
            raise _unavailable(f"the token does not sign: {_named(error)}") from None
        half = len(raw) // 2
        signature = encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )
        try:
            self._verifying_key.verify(message, signature)
        except TamperedError:
            raise _unavailable("the token made a signature that its public key refuses") from None
        return signature


@contextmanager
def open_key(
    uri: KeyUri, pin: Callable[[], str], module: Path | None = None
) -> Iterator[HardwareKey]:
    """The key of a URI, with somebody logged in to its token.

    Args:
        pin: gives the PIN; called once the token was found.
        module: the driver, in place of the one that the URI names. Its code runs in this process.

    Raises:
        MissingExtraError: the library is not installed.
        ValidationError: no driver is named, the PIN is wrong, or the key is of another kind.
        NotFoundError: there is no such driver, token or key, or more than one.
        KeyUnavailableError: driver or token do not work.
    """
    library = _library()
    driver = module or uri.module
    if driver is None:
        raise ValidationError(
            "no driver for the device is named", next_step="give its file with --pkcs11-module"
        )
    if not driver.is_file():
        raise NotFoundError(f"there is no driver at `{driver}`")
    loaded = library.PyKCS11Lib()
    try:
        loaded.load(str(driver.resolve()))
        slot = _slot(loaded, uri)
        session = loaded.openSession(slot)
        try:
            _log_in(library, session, pin())
            yield _key(library, session, uri)
        finally:
            with suppress(library.PyKCS11Error):
                session.logout()
            with suppress(library.PyKCS11Error):
                session.closeSession()
    except library.PyKCS11Error as error:
        raise _unavailable(f"the device does not work: {_named(error)}") from None


def _library() -> Any:  # noqa: ANN401 # an optional library without types
    try:
        return importlib.import_module("PyKCS11")
    except ImportError:
        raise MissingExtraError(
            "keys in devices need PyKCS11", next_step="install strongroom[pkcs11]"
        ) from None


def _slot(loaded: Any, uri: KeyUri) -> int:  # noqa: ANN401 # of the library
    found = []
    for slot in loaded.getSlotList(tokenPresent=True):
        if uri.slot is not None and slot != uri.slot:
            continue
        token = loaded.getTokenInfo(slot)
        if not token.flags & _INITIALIZED:
            continue
        if all(_padded(getattr(token, field)) == value for field, value in uri.token.items()):
            found.append(int(slot))
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found)} tokens are what the URI says"
            if found
            else "no token is what the URI says",
            next_step="name one by `token=…`, `serial=…` or `slot-id=…` in the URI",
        )
    return found[0]


def _padded(field: Any) -> str:  # noqa: ANN401 # bytes or text, by the version of the library
    text = field if isinstance(field, str) else bytes(field).decode("utf-8", "replace")
    return text.rstrip(" \0")


def _log_in(library: Any, session: Any, pin: str) -> None:  # noqa: ANN401 # of the library
    if not 0 < len(pin) <= _MAX_PIN:
        raise ValidationError(f"a PIN has 1 to {_MAX_PIN} characters")
    try:
        session.login(pin)
    except library.PyKCS11Error as error:
        if error.value == library.CKR_PIN_LOCKED:
            raise _unavailable("the token is locked: too many wrong PINs") from None
        if error.value in {library.CKR_PIN_INCORRECT, library.CKR_PIN_INVALID,
                           library.CKR_PIN_LEN_RANGE}:  # fmt: skip
            raise ValidationError(
                "the PIN is wrong", next_step="look it up: tokens lock after a few wrong ones"
            ) from None
        raise


def _key(library: Any, session: Any, uri: KeyUri) -> HardwareKey:  # noqa: ANN401 # of the library
    handle = _one(library, session, uri, library.CKO_PRIVATE_KEY)
    public = _one(library, session, uri, library.CKO_PUBLIC_KEY)
    kind, parameters, point = session.getAttributeValue(
        public, [library.CKA_KEY_TYPE, library.CKA_EC_PARAMS, library.CKA_EC_POINT]
    )
    curve, _ = _CURVES.get(bytes(parameters or ()), (None, None))
    if kind != library.CKK_EC or curve is None:
        raise ValidationError("the key in the device must be ECDSA P-256 or P-384")
    # In DER an OCTET STRING around the point; some tokens give the bare point.
    encoded, length = bytes(point), 1 + 2 * ((curve.key_size + 7) // 8)
    if encoded[:2] == bytes((4, length)) and len(encoded) == 2 + length:
        encoded = encoded[2:]
    try:
        return HardwareKey(
            session, handle, ec.EllipticCurvePublicKey.from_encoded_point(curve, encoded)
        )
    except ValueError:
        raise _unavailable("the token's public key is no point of its curve") from None


def _one(library: Any, session: Any, uri: KeyUri, kind: int) -> Any:  # noqa: ANN401 # of the library
    wanted: list[tuple[int, object]] = [(library.CKA_CLASS, kind)]
    if uri.label is not None:
        wanted.append((library.CKA_LABEL, uri.label))
    if uri.identifier is not None:
        wanted.append((library.CKA_ID, tuple(uri.identifier)))
    found = session.findObjects(wanted)
    what = "private" if kind == library.CKO_PRIVATE_KEY else "public"
    if len(found) != 1:
        raise NotFoundError(
            f"the token has {len(found) or 'no'} {what} keys of that name",
            next_step="name one by `id=…` and `object=…`; its public key must be in the token too",
        )
    return found[0]


def _unavailable(message: str) -> KeyUnavailableError:
    return KeyUnavailableError(message, next_step="look at the device, its driver and its PIN")


def _named(error: Exception) -> str:
    return str(error)[:100]
