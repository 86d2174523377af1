"""Sigstore bundles of a deployment made here: what is good is believed, and nothing else."""

import json
import socket
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.crypto.sigstore_deployment import (
    BEGIN,
    MOMENT,
    NAME,
    PROVIDER,
    Deployment,
    Fields,
)

from strongroom.engines.crypto.model_signature import Manifest, Resource, sign, verify_by_key
from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.crypto.sigstore_bundle import MAX_TRUST_BYTES, Identity, TrustedRoot
from strongroom.errors import MissingExtraError, TamperedError, ValidationError

pytest.importorskip("sigstore")
pytest.importorskip("asn1crypto")

MANIFEST = Manifest("iris", (Resource("MLmodel", sha256(b"a").hexdigest()),))
PAYLOAD = MANIFEST.statement().encode()
WHO = Identity(NAME, PROVIDER)


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture(scope="module")
def root(deployment: Deployment) -> TrustedRoot:
    return TrustedRoot.read(deployment.trusted_root())


@pytest.fixture(scope="module", params=[1, 2], ids=["promised", "stamped"])
def bundle(deployment: Deployment, request: pytest.FixtureRequest) -> Fields:
    return deployment.bundle(PAYLOAD, request.param)


def dumped(fields: object) -> bytes:
    return json.dumps(fields).encode()


def refusal(root: TrustedRoot, fields: object, who: Identity = WHO) -> str:
    with pytest.raises(TamperedError) as caught:
        root.verify(dumped(fields), who)
    return str(caught.value)


def is_promised(bundle: Fields) -> bool:
    """Whether its time is the log's word, and not a timestamp."""
    return "inclusionPromise" in bundle["verificationMaterial"]["tlogEntries"][0]


def test_who_and_when_without_a_network(
    root: TrustedRoot, bundle: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: object) -> None:
        raise AssertionError("it went out")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    found = root.verify(dumped(bundle), WHO)
    assert (found.manifest, found.identity, found.moment) == (MANIFEST, WHO, MOMENT)
    assert root.look(dumped(bundle)) == found


def test_a_client_trust_configuration_holds_a_root(deployment: Deployment, bundle: Fields) -> None:
    root = TrustedRoot.read(deployment.trust_config("http://127.0.0.1:1", 1))
    assert root.verify(dumped(bundle), WHO).manifest == MANIFEST


@pytest.mark.parametrize("who", [
    Identity("bob@clinic.example", PROVIDER), Identity(NAME, "https://login.example"),
    Identity(NAME.upper(), PROVIDER), Identity(NAME, PROVIDER + "/"), Identity("", ""),
], ids=["name", "provider", "case", "slash", "empty"])  # fmt: skip
def test_another_identity_is_refused(root: TrustedRoot, bundle: Fields, who: Identity) -> None:
    assert f"it is by `{NAME}` of `{PROVIDER}`" in refusal(root, bundle, who)


def test_workflows_are_identities(deployment: Deployment, root: TrustedRoot) -> None:
    name = "https://forge.example/team/model/.workflows/train.yml@refs/heads/main"
    signed = deployment.bundle(PAYLOAD, 2, name=name)
    assert root.verify(dumped(signed), Identity(name, PROVIDER)).identity.name == name


# ---- tampering ----


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from leaves(one, (*path, index))
    else:
        yield path


def changed(text: str, name: str | int) -> Iterator[str]:
    """Other values of the same form."""
    yield ""
    if text.isdigit():
        yield from (str(int(text) + 1), str(max(int(text) - 1, 0)), "0", "-1", str(1 << 65))
        return
    if name in {"envelope", "mediaType", "payloadType", "kind", "version"}:
        yield from (text[:-2], text + "x", "x" + text)
        middle = len(text) // 2
        yield text[:middle] + ("x" if text[middle] != "x" else "y") + text[middle + 1 :]
        return
    content = b64decode(text)
    for place in (0, len(content) // 2, len(content) - 1):
        altered = bytearray(content)
        altered[place] ^= 1
        yield b64encode(altered).decode()
    yield b64encode(content[:-1]).decode()
    yield b64encode(content + b"\0").decode()


def test_every_field_is_held(root: TrustedRoot, bundle: Fields) -> None:
    tried = 0
    for path in list(leaves(bundle)):
        *above, last = path
        text: Any = bundle
        for part in path:
            text = text[part]
        for other in changed(text, last):
            if other == text:
                continue
            altered = deepcopy(bundle)
            place: Any = altered
            for part in above:
                place = place[part]
            place[last] = other
            with pytest.raises(TamperedError):
                root.verify(dumped(altered), WHO)
            tried += 1
    assert tried > 80


def test_every_part_is_needed(root: TrustedRoot, bundle: Fields) -> None:
    def parts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 # JSON
        for name in list(value) if isinstance(value, dict) else range(len(value)):
            yield (*path, name)
            if isinstance(value[name], dict | list):
                yield from parts(value[name], (*path, name))

    spare = set()
    for path in parts(bundle, ()):
        altered = deepcopy(bundle)
        place: Any = altered
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]
        try:
            root.verify(dumped(altered), WHO)
        except TamperedError:
            continue
        spare.add(path[-1])
    # An empty list of timestamps says as much as none, where the log has promised.
    assert spare <= {"timestampVerificationData", "rfc3161Timestamps"}
    assert bool(spare) == is_promised(bundle)


@given(st.one_of(
    st.binary(max_size=64),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["mediaType", "verificationMaterial", "tlogEntries", "dsseEnvelope",
                             "certificate", "rawBytes", "signatures"]), inner, max_size=4),
        max_leaves=12,
    ).map(dumped),
))  # fmt: skip
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(TamperedError):
        ANY_ROOT.verify(content, WHO)


ANY_ROOT = TrustedRoot.read(Deployment().trusted_root())


def test_parts_of_two_signatures_make_none(
    deployment: Deployment, root: TrustedRoot, bundle: Fields
) -> None:
    version = 1 if is_promised(bundle) else 2
    other = deployment.bundle(
        Manifest("iris", (Resource("MLmodel", sha256(b"b").hexdigest()),)).statement().encode(),
        version,
    )
    assert root.verify(dumped(other), WHO).manifest != MANIFEST
    refusal(root, {**bundle, "dsseEnvelope": other["dsseEnvelope"]})
    for part in ("certificate", "tlogEntries"):
        material = {**bundle["verificationMaterial"], part: other["verificationMaterial"][part]}
        refusal(root, {**bundle, "verificationMaterial": material})
    both = deepcopy(bundle)
    both["verificationMaterial"]["tlogEntries"] += other["verificationMaterial"]["tlogEntries"]
    refusal(root, both)


def test_a_timestamp_of_another_signature_spoils_the_good_one(
    deployment: Deployment, root: TrustedRoot
) -> None:
    bundle, other = (deployment.bundle(PAYLOAD, 2) for _ in range(2))
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    foreign = other["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    good = list(stamps)
    stamps[:] = foreign
    assert "not enough sources of verified time" in refusal(root, bundle)
    stamps[:] = [*good, *foreign]
    refusal(root, bundle)
    stamps[:] = good * 40
    assert "too many" in refusal(root, bundle)
    stamps[:] = good
    root.verify(dumped(bundle), WHO)


# ---- who is trusted, and when ----


@pytest.mark.parametrize("part", [
    "certificateAuthorities", "ctlogs", "tlogs", "timestampAuthorities"
])  # fmt: skip
def test_no_part_of_another_deployment_counts(
    deployment: Deployment, bundle: Fields, part: str
) -> None:
    foreign = json.loads(Deployment().trusted_root())
    root = TrustedRoot.read(deployment.trusted_root(**{part: foreign[part]}))
    if part == "timestampAuthorities" and is_promised(bundle):
        assert root.verify(dumped(bundle), WHO).moment == MOMENT
    else:
        refusal(root, bundle)


@pytest.mark.parametrize("begins", [True, False], ids=["later", "ended"])
def test_parts_count_at_their_time_alone(
    deployment: Deployment, bundle: Fields, begins: bool
) -> None:  # fmt: skip
    step = timedelta(hours=1)
    period = (MOMENT + step, None) if begins else (BEGIN, MOMENT - step)
    parts = {
        "certificateAuthorities": [deployment.fulcio.fields(*period)],
        "ctlogs": [deployment.certificates.fields(*period)],
        "tlogs": [log.fields(*period) for log in deployment.logs.values()],
        "timestampAuthorities": [deployment.stamps.fields(*period)],
    }
    for part, fields in parts.items():
        root = TrustedRoot.read(deployment.trusted_root(**{part: fields}))
        if part != "timestampAuthorities" or not is_promised(bundle):
            refusal(root, bundle)


def test_a_certificate_signs_for_ten_minutes(deployment: Deployment, root: TrustedRoot) -> None:
    for version in (1, 2):
        for late in (timedelta(minutes=11), timedelta(minutes=-1)):
            refusal(root, deployment.bundle(PAYLOAD, version, MOMENT + late))
        inside = deployment.bundle(PAYLOAD, version, MOMENT + timedelta(minutes=9))
        assert root.verify(dumped(inside), WHO).moment == MOMENT + timedelta(minutes=9)


def test_a_certificate_must_be_on_record(deployment: Deployment, root: TrustedRoot) -> None:
    bundle = deployment.bundle(PAYLOAD, 2, stamped=False)
    assert "timestamp" in refusal(root, bundle)


def test_a_good_signature_over_something_else(deployment: Deployment, root: TrustedRoot) -> None:
    for payload, kind in (
        (PAYLOAD, "application/json"),
        (b"{}", "application/vnd.in-toto+json"),
        (PAYLOAD.replace(b"model_signing", b"another"), "application/vnd.in-toto+json"),
    ):
        refusal(root, deployment.bundle(payload, 2, kind=kind))


def test_kinds_of_signatures_are_not_mistaken(root: TrustedRoot, bundle: Fields) -> None:
    key = SigningKey.generate("ecdsa-p256")
    with pytest.raises(TamperedError) as caught:
        verify_by_key(dumped(bundle), key.verifying_key)
    assert "--sigstore" in str(caught.value.next_step)
    refusal(root, json.loads(sign(MANIFEST, key)))


def test_what_is_no_trusted_root(deployment: Deployment) -> None:
    good = deployment.trusted_root()
    for content in (
        b"", b"{}", b"[" * 10_000, good[:-1], b'"clienttrustconfig"',
        deployment.trusted_root(mediaType="x"), deployment.trusted_root(certificateAuthorities=[]),
        deployment.trusted_root(ctlogs=None), good + b" " * MAX_TRUST_BYTES,
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            TrustedRoot.read(content)


def test_a_missing_library_is_said(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    with pytest.raises(MissingExtraError) as caught:
        TrustedRoot.read(deployment.trusted_root())
    assert "strongroom[sigstore]" in str(caught.value.next_step)
