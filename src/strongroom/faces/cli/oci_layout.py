"""A model in an OCI image layout: which files it has, by its index and manifest.

Each descriptor's blob is there, of its size; the digests are compared where the blobs are read.
Source: OCI Image Format Specification 1.1, image layout, descriptors and manifest.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from strongroom.errors import TamperedError, UsageError, ValidationError
from strongroom.faces.cli.model_members import Member

MARK = "oci-layout"
MAX_JSON_BYTES = 16 << 20
"""Of an index or manifest: a model of 50,000 files fits."""
MAX_LAYERS = 50_000
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_PATHS = ("org.opencontainers.image.title", "org.cncf.model.filepath")
"""Annotations that name a layer's file: of image-spec, and of the CNCF's model-spec."""
_REFERENCE = "org.opencontainers.image.ref.name"


def files_of_layout(members: Mapping[str, Member], reference: str) -> dict[str, tuple[Member, str]]:
    """Blob and announced digest of each file, by path.

    Args:
        members: of the layout.
        reference: of the manifest to take; empty where the layout has only one.

    Raises:
        ValidationError: it is no layout of a model with a layer for each file.
        TamperedError: the manifest or a blob is not what its descriptor says.
        UsageError: which of several manifests is meant is not said.
    """
    layout = _json(_member(members, MARK))
    if not str(layout.get("imageLayoutVersion", "")).startswith("1."):
        raise ValidationError("the OCI layout is of a version that is not known")
    descriptor = _chosen(_listed(_json(_member(members, "index.json")), "manifests"), reference)
    if descriptor.get("mediaType", _MANIFEST) != _MANIFEST:
        raise ValidationError(
            "the OCI layout holds no artifact but an index of others",
            next_step="copy the one artifact into a layout of its own",
        )
    blob, digest = _blob(members, descriptor)
    content = blob.content(MAX_JSON_BYTES)
    if sha256(content).hexdigest() != digest:
        raise TamperedError("the manifest of the OCI layout does not have its digest")
    layers = _listed(_parsed(content, "the manifest"), "layers")
    if len(layers) > MAX_LAYERS:
        raise ValidationError(f"a model may have {MAX_LAYERS:,} files")
    found: dict[str, tuple[Member, str]] = {}
    for layer in layers:
        path = _path(layer)
        if path in found:
            raise ValidationError(f"two layers are called `{path}`")
        found[path] = _blob(members, layer)
    return found


def _chosen(manifests: list[dict[str, Any]], reference: str) -> dict[str, Any]:
    if reference:
        manifests = [one for one in manifests if _annotation(one, _REFERENCE) == reference]
    if len(manifests) != 1:
        raise UsageError(
            f"the OCI layout has {len(manifests)} manifests"
            + (f" called `{reference}`" if reference else ""),
            next_step="say which with --reference",
        )
    return manifests[0]


def _path(layer: dict[str, Any]) -> str:
    path = next((text for name in _PATHS if (text := _annotation(layer, name))), "")
    if not path:
        raise ValidationError(
            "a layer of the OCI layout does not say which file it is",
            next_step="pack each file as a layer of its own, as `oras push` does",
        )
    kind = str(layer.get("mediaType", ""))
    if ".tar" in kind or "+gzip" in kind or "+zstd" in kind or kind.endswith("+tar"):
        raise ValidationError(
            f"the layer `{path}` is an archive",
            next_step="unpack the model and import the folder",
        )
    return path


def _blob(members: Mapping[str, Member], descriptor: dict[str, Any]) -> tuple[Member, str]:
    digest = descriptor.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise ValidationError("a descriptor of the OCI layout has no SHA-256 digest")
    blob = _member(members, f"blobs/sha256/{match[1]}")
    if descriptor.get("size") != blob.size:
        raise TamperedError(f"the blob `{match[1]}` of the OCI layout has another size")
    return blob, match[1]


def _member(members: Mapping[str, Member], path: str) -> Member:
    if path not in members:
        raise ValidationError(f"the OCI layout has no `{path}`")
    return members[path]


def _annotation(descriptor: dict[str, Any], name: str) -> str:
    annotations = descriptor.get("annotations")
    text = annotations.get(name) if isinstance(annotations, dict) else None
    return text if isinstance(text, str) else ""


def _listed(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValidationError(f"the OCI layout has no list of {name}")
    return found


def _json(member: Member) -> dict[str, Any]:
    return _parsed(member.content(MAX_JSON_BYTES), f"`{member.path}`")


def _parsed(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValidationError(f"{what} of the OCI layout is no JSON object")
    return found
