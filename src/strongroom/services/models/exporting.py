"""A version in the forms of other registries, as one tar, piece by piece.

Source: OCI Image Format Specification 1.1, image layout and "Guidelines for Artifact Usage".
"""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from strongroom.services.models.files import ModelFiles
from strongroom.services.models.statements import ManifestFile

ARTIFACT_TYPE = "application/vnd.strongroom.model.v1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_LAYER = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_BLOCK = 512


def oci_layout(
    files: ModelFiles, manifest: Sequence[ManifestFile], more: Mapping[str, bytes],
    annotations: Mapping[str, str], reference: str,
) -> Iterator[bytes]:  # fmt: skip
    """An OCI image layout with one artifact: a layer for each file, with its path as title.

    Args:
        files: of the version.
        manifest: their paths, sizes and digests as signed.
        more: further files, by path.
        annotations: of the artifact.
        reference: its name within the layout, as `oras` and `skopeo` take it.
    """
    empty = b"{}"
    layers = [_descriptor(_LAYER, one.sha256, one.size, one.path) for one in manifest]
    layers += [
        _descriptor(_LAYER, sha256(content).hexdigest(), len(content), path)
        for path, content in more.items()
    ]
    described = _json({
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": _descriptor(_EMPTY, sha256(empty).hexdigest(), len(empty)),
        "layers": layers,
        "annotations": dict(annotations),
    })  # fmt: skip
    digest = sha256(described).hexdigest()
    index = _json({
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{
            **_descriptor(_MANIFEST, digest, len(described)),
            "artifactType": ARTIFACT_TYPE,
            "annotations": {"org.opencontainers.image.ref.name": reference},
        }],
    })  # fmt: skip
    try:
        yield from _member("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        yield from _member("index.json", index)
        written: set[str] = set()
        for content in (described, empty, *more.values()):
            name = sha256(content).hexdigest()
            if name not in written:
                written.add(name)
                yield from _member(f"blobs/sha256/{name}", content)
        for one in manifest:
            if one.sha256 not in written:
                written.add(one.sha256)
                yield _header(f"blobs/sha256/{one.sha256}", one.size)
                yield from files.reader(one.path).chunks()
                yield bytes(-one.size % _BLOCK)
        yield bytes(2 * _BLOCK)
    finally:
        files.close()


def _descriptor(media_type: str, digest: str, size: int, title: str = "") -> dict[str, object]:
    found: dict[str, object] = {
        "mediaType": media_type, "digest": f"sha256:{digest}", "size": size,
    }  # fmt: skip
    return {**found, "annotations": {_TITLE: title}} if title else found


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content + bytes(-len(content) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
