"""The services of a Sigstore deployment on this machine, by the published HTTP interfaces.

Fulcio v2 (`/api/v2/signingCert`), Rekor v1 and v2 (`/api/v1|v2/log/entries`), an RFC 3161
authority, and what an identity provider says of itself. What they make is `Deployment`'s.
"""

import hmac
import json
import threading
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.engines.crypto.sigstore_deployment import (
    NAME,
    PROVIDER,
    Deployment,
    Fields,
    body_v1,
    hashed_record,
)

_SECRET = b"the provider's own"


def identity_token(*, lives: timedelta = timedelta(minutes=5), **claims: str) -> str:
    """A token as an identity provider gives it, for Sigstore."""
    now = datetime.now(UTC)
    said = {
        "iss": PROVIDER, "sub": NAME, "aud": "sigstore", "iat": int(now.timestamp()) - 60,
        "exp": int((now + lives).timestamp()), **claims,
    }  # fmt: skip
    signed = b".".join(
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, said)
    )
    return f"{signed.decode()}.{_mac(signed)}"


def _mac(signed: bytes) -> str:
    mac = hmac.new(_SECRET, signed, sha256).digest()
    return urlsafe_b64encode(mac).rstrip(b"=").decode()


class Services:
    """What runs: `url` to reach it, `calls` it got; `broken` paths answer with an error."""

    def __init__(self, deployment: Deployment, url: str) -> None:
        self.deployment = deployment
        self.url = url
        self.calls: list[str] = []
        self.broken: set[str] = set()

    def answer(self, path: str, content: bytes, authorization: str) -> tuple[int, bytes]:
        """Status and content for a request."""
        path = path.partition("?")[0]
        self.calls.append(path)
        if path in self.broken:
            return 500, b"{}"
        if path == "/.well-known/openid-configuration":
            endpoints = ("authorization_endpoint", "token_endpoint")
            return 200, json.dumps(dict.fromkeys(endpoints, self.url)).encode()
        if path == "/ci-token":
            assert authorization == "bearer of-the-run"
            return 200, json.dumps({"value": identity_token()}).encode()
        if path == "/stamp":
            return 200, self._stamp(content)
        asked = json.loads(content)
        if path == "/api/v2/signingCert":
            return self._certify(asked, authorization)
        if path == "/api/v1/log/entries":
            return 201, json.dumps(self._first_log(asked)).encode()
        if path == "/api/v2/log/entries":
            return 201, json.dumps(self._second_log(asked)).encode()
        return 404, b"{}"

    def _certify(self, asked: Fields, authorization: str) -> tuple[int, bytes]:
        signed, _, mac = authorization.removeprefix("Bearer ").rpartition(".")
        if not hmac.compare_digest(_mac(signed.encode()), mac):
            return 401, json.dumps({"message": "no identity"}).encode()
        encoded = signed.partition(".")[2]
        claims = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        request = x509.load_pem_x509_csr(b64decode(asked["certificateSigningRequest"]))
        assert request.is_signature_valid
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        made = self.deployment.certificate(key, datetime.now(UTC), claims["sub"], claims["iss"])
        fulcio = self.deployment.fulcio
        chain = [
            one.public_bytes(Encoding.PEM).decode()
            for one in (made, fulcio.certificate, fulcio.root)
        ]
        found = {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}
        return 201, json.dumps(found).encode()

    def _first_log(self, asked: Fields) -> Fields:
        proposed = asked["spec"]["proposedContent"]
        certificate = x509.load_pem_x509_certificate(b64decode(proposed["verifiers"][0]))
        body = body_v1(json.loads(proposed["envelope"]), certificate)
        entry = self.deployment.logs[1].entry(body, datetime.now(UTC))
        proof = entry["inclusionProof"]
        return {
            "5a" * 32: {
                "body": entry["canonicalizedBody"],
                "integratedTime": int(entry["integratedTime"]),
                "logID": b64decode(entry["logId"]["keyId"]).hex(),
                "logIndex": int(entry["logIndex"]),
                "verification": {
                    "inclusionProof": {
                        "checkpoint": proof["checkpoint"]["envelope"],
                        "hashes": [b64decode(one).hex() for one in proof["hashes"]],
                        "logIndex": int(proof["logIndex"]),
                        "rootHash": b64decode(proof["rootHash"]).hex(),
                        "treeSize": int(proof["treeSize"]),
                    },
                    "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                },
            }
        }

    def _second_log(self, asked: Fields) -> Fields:
        wanted = asked["hashedRekordRequestV002"]
        body = hashed_record(wanted["digest"], wanted["signature"])
        return self.deployment.logs[2].entry(body, datetime.now(UTC))

    def _stamp(self, content: bytes) -> bytes:
        asked = import_module("asn1crypto.tsp").TimeStampReq.load(content).native
        digest = asked["message_imprint"]["hashed_message"]
        now = datetime.now(UTC).replace(microsecond=0)
        return self.deployment.stamp(digest, now, asked["nonce"])


@contextmanager
def services(deployment: Deployment) -> Iterator[Services]:
    """They run at `url` until the end."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = running.answer(self.path, content, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 # the library's names

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 # as the library has it
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Services(deployment, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
