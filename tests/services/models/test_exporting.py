"""Versions in the forms of other registries: names, digests, what is added, who may not."""

import io
import json
import tarfile
from hashlib import sha256

import pytest
from tests.services.models.modelroom import ModelRoom
from tests.services.models.test_sweeping import flip

from strongroom.errors import RefusedError, StateError, TamperedError
from strongroom.services.models.exporting import ARTIFACT_TYPE
from strongroom.services.models.keeping_types import ExportForm, ExportVersion
from strongroom.services.models.tables import ModelFileRow

FILES = {
    "notes.md": b"# a model\n",
    "deep/\u00e4.md": b"# more\n" * 1_000,
    "twin.md": b"# a model\n",
}


def export(room: ModelRoom, form: ExportForm) -> dict[str, bytes]:
    """Name and content of the members of what is exported."""
    wanted = ExportVersion(workspace="clinic", name="iris", version=1, form=form)
    stream = room.call(room.scientist, "model.export", wanted)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream.chunks))) as tar:
        for info in tar:
            member = tar.extractfile(info)
            assert member is not None
            assert info.name not in found
            found[info.name] = member.read()
    return found


def test_a_version_leaves_in_three_forms(room: ModelRoom) -> None:
    entry = room.register(FILES)
    with pytest.raises(StateError):
        export(room, ExportForm.OCI)
    room.wait(entry)

    folder = export(room, ExportForm.MLFLOW)
    signature = folder.pop("model.sig")
    assert folder == FILES
    assert json.loads(signature)["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    repository = export(room, ExportForm.HUGGINGFACE)
    assert b"iris" in repository.pop("README.md")
    assert repository.keys() == {*FILES, "model.sig"}

    layout = export(room, ExportForm.OCI)
    assert json.loads(layout.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    [described] = json.loads(layout.pop("index.json"))["manifests"]
    blobs = {name.removeprefix("blobs/sha256/"): content for name, content in layout.items()}
    assert all(sha256(content).hexdigest() == name for name, content in blobs.items())
    manifest = json.loads(blobs[described["digest"].removeprefix("sha256:")])
    assert manifest["mediaType"] == described["mediaType"]
    assert manifest["artifactType"] == described["artifactType"] == ARTIFACT_TYPE
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    layers = {}
    for layer in manifest["layers"]:
        content = blobs[layer["digest"].removeprefix("sha256:")]
        assert len(content) == layer["size"]
        layers[layer["annotations"]["org.opencontainers.image.title"]] = content
    layers.pop("model.sig")
    assert layers == FILES
    # The twins share a blob; manifest, empty config and signature are the other three.
    assert len(blobs) == len(set(FILES.values())) + 3

    reader = room.house.person("rea", "Reader")
    with pytest.raises(RefusedError):
        room.call(reader, "model.export", ExportVersion(workspace="clinic", name="iris", version=1))
    with room.house.database.read() as session:
        blob = session.get_one(ModelFileRow, (entry, "notes.md")).blob
    flip(room.file_of(blob))
    for _ in range(2):  # at the end of a broken stream, then at once
        with pytest.raises(TamperedError):
            export(room, ExportForm.OCI)
    assert room.operations().count(("model.tampered", "failed")) == 1
