"""Signing by an identity, through the services of one Sigstore deployment.

This is the one offline verb that goes out, and only to what the trust configuration names: the
certificate authority gets the identity token and a new public key; log and timestamp authority get
the signature; the log gets the certificate and the statement's digest too, and one of version 1
the statement. The private key is never written anywhere.
"""

import ipaddress
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from strongroom.engines.crypto.model_signature import Manifest
from strongroom.engines.crypto.sigstore_bundle import TrustedRoot
from strongroom.errors import CallerError, UnreachableError, ValidationError
from strongroom.faces.cli import output

_SECONDS = 180.0
_SHOWN = 300
_OTHERS = "look at the services of the trust configuration, and whether they take this identity"


class SigstoreSigner:
    """Signs with a key of this one signature, certified for the holder of an identity token."""

    def __init__(self, trust_config: bytes, token: Callable[[], str], client_id: str) -> None:
        """Read a client trust configuration in JSON.

        Args:
            token: gives the identity token, in the form of a JWT.
            client_id: whom the token must be for.

        Raises:
            ValidationError: it is none, names no services, or one that is not reached by HTTPS.
            MissingExtraError: the library is not installed.
        """
        self._root = TrustedRoot.read(trust_config)
        self._token = token
        self._client_id = client_id
        self._config = _read(trust_config)

    def sign(self, manifest: Manifest) -> tuple[bytes, dict[str, str]]:
        """The bundle, once it was verified, and whose it is.

        Raises:
            UnreachableError: a service does not answer.
            CallerError: a service refuses, or the token is none.
            TamperedError: what they made does not verify under the trusted root.
        """
        statement = manifest.statement().encode()
        bundle = _in_time(lambda: self._made(statement))
        found = self._root.look(bundle)
        if found.manifest.statement() != manifest.statement():
            raise CallerError("the services signed another statement", next_step=_OTHERS)
        return bundle, {
            "identity": found.identity.name, "identity_provider": found.identity.provider,
        }  # fmt: skip

    def _made(self, statement: bytes) -> bytes:
        from requests import RequestException
        from sigstore.dsse import Statement
        from sigstore.oidc import IdentityError, IdentityToken
        from sigstore.sign import SigningContext

        try:
            token = IdentityToken(self._token(), self._client_id)
        except IdentityError as error:
            raise CallerError(
                f"the identity token cannot be used: {_said(error)}",
                next_step=f"get a new one for `{self._client_id}` from the identity provider",
            ) from None
        try:
            context = SigningContext.from_trust_config(self._config)
            with context.signer(token) as signer:
                return signer.sign_dsse(Statement(statement)).to_json().encode()
        except RequestException as error:
            raise UnreachableError(
                f"a service of the Sigstore deployment does not answer: {type(error).__name__}",
                next_step="look at the addresses in the trust configuration",
            ) from None
        except Exception as error:  # noqa: BLE001 # whatever services answer and the library says of it
            raise CallerError(
                f"signing through Sigstore failed: {_said(error)}", next_step=_OTHERS
            ) from None


def ambient_token(client_id: str) -> str:
    """The identity token of the CI run that this is.

    Raises:
        CallerError: it is none, or may not have one.
    """
    from sigstore.oidc import IdentityError, detect_credential

    try:
        token = detect_credential(client_id)
    except IdentityError as error:
        raise CallerError(f"the CI run gives no identity: {_said(error)}") from None
    if not token:
        raise CallerError(
            "this is no CI run that is known to have an identity",
            next_step="give a token with --identity-token-file",
        )
    return token


def _read(content: bytes) -> Any:  # noqa: ANN401 # of the library
    from sigstore.models import ClientTrustConfig

    try:
        config = ClientTrustConfig.from_json(content.decode())
        fields = json.loads(content)
    except Exception:  # noqa: BLE001 # whatever the library makes of it, it is none
        raise ValidationError(
            "a trusted root names no services to sign with",
            next_step="give a client trust configuration, which holds a signing configuration too",
        ) from None
    for url in _urls(fields):
        if not _is_safe(url):
            raise ValidationError(f"`{output.clean(url)}` is not an address of HTTPS")
    return config


def _urls(value: Any) -> Iterator[str]:  # noqa: ANN401 # JSON
    """All addresses of services, whatever the spelling of the field around them."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "url":
                yield str(one)
            else:
                yield from _urls(one)
    elif isinstance(value, list):
        for one in value:
            yield from _urls(one)


def _is_safe(url: str) -> bool:
    """By HTTPS, or not leaving this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_time(made: Callable[[], bytes]) -> bytes:
    """What `made` gives; the library itself would wait for a service without end."""
    results: list[bytes] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(made())
        except Exception as error:  # noqa: BLE001 # raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if thread.is_alive():
        raise UnreachableError(
            f"the Sigstore deployment did not answer within {_SECONDS:.0f} s",
            next_step="look at the addresses in the trust configuration",
        )
    if errors:
        raise errors[0]
    return results[0]


def _said(error: Exception) -> str:
    return output.clean(str(error) or type(error).__name__)[:_SHOWN]
