"""`strongroom bom`: what a model's folder is made of, as CycloneDX, without a server.

Only what the folder itself holds or states: its files with their digests, the libraries it asks to
be installed, and what `MLmodel`, `config.json` and `README.md` say. Nothing of it is run.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from strongroom.engines.crypto.model_signature import (
    GIT_PATHS,
    WHOLE_FILE,
    Manifest,
    Resource,
    Serialization,
)
from strongroom.engines.scanning import cyclonedx
from strongroom.engines.scanning.stated_facts import (
    MAX_SOURCE_BYTES,
    SOURCES,
    StatedFacts,
    read_facts,
)
from strongroom.errors import ValidationError
from strongroom.faces.cli import model_folder, output
from strongroom.faces.cli.model_folder import FoundFile, ModelFolder, OpenFiles
from strongroom.faces.cli.signing_commands import DEFAULT

_TOLD = 8
_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def run_bom(path: Path, *, name: str, version: str, follows_links: bool) -> None:
    """Write the bill of a model to stdout, as JSON.

    Args:
        name: of the model; empty for that of the folder.
        version: of the model; empty where it has none.

    Raises:
        StrongroomError: as `find` and `hash_files`; there is no file.
    """
    ignored = (*GIT_PATHS, DEFAULT) if path.is_dir() else ()
    how = Serialization(follows_links=follows_links, ignored=ignored)
    folder = model_folder.find(path, how)
    if not folder.files:
        raise ValidationError("there is no file to list")
    resources = tuple(model_folder.hash_files(folder.files, how))
    facts, libraries = _read(folder)
    model_folder.require_unchanged(folder.files)
    made = _bill(folder.name, Manifest(folder.name, resources, how), facts, libraries,
                 name=name or folder.name, version=version)  # fmt: skip
    sys.stdout.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    if folder.uncovered:
        shown = ", ".join(f"`{output.clean(one)}`" for one in folder.uncovered[:_TOLD])
        more = len(folder.uncovered) - _TOLD
        output.words(f"not listed: {shown}{f' and {more:,} more' if more > 0 else ''}")


def _read(folder: ModelFolder) -> tuple[StatedFacts, list[cyclonedx.Library]]:
    """What the folder states, and what it asks to be installed."""
    locks = [
        file
        for file in folder.files
        if file.path.rpartition("/")[2] in cyclonedx.LOCKS and file.size <= cyclonedx.MAX_LOCK_BYTES
    ][: cyclonedx.MAX_LOCKS]
    sources = [file for file in folder.files if file.path in SOURCES]
    with OpenFiles() as opened:
        asked = cyclonedx.libraries((file.path, _content(opened, file)) for file in locks)
        stated = {
            file.path: _content(opened, file) for file in sources if file.size <= MAX_SOURCE_BYTES
        }
    return read_facts(stated), asked


def _content(opened: OpenFiles, file: FoundFile) -> bytes:
    return opened.look(file).read()


def _bill(
    folder: str, manifest: Manifest, facts: StatedFacts, libraries: Sequence[cyclonedx.Library],
    *, name: str, version: str,
) -> Mapping[str, Any]:  # fmt: skip
    digest = manifest.statement().subjects[0].sha256
    data = [
        {"type": "data", "bom-ref": f"dataset:{index}", "name": one,
         "data": [{"type": "dataset", "name": one}]}
        for index, one in enumerate(facts.datasets)
    ]  # fmt: skip
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{quote(name)}@{digest}",
        "name": name,
        "properties": [{"name": "strongroom:model-digest", "value": digest}],
    }
    if version:
        component["version"] = version
    if facts.licence:
        component["licenses"] = [{"expression": facts.licence}]
    if facts.bases:
        component["pedigree"] = {"ancestors": [_ancestor(one) for one in facts.bases]}
    if card := _card(facts, data):
        component["modelCard"] = card
    return cyclonedx.document(
        component,
        files=[(_listed(one, folder), one.digest) for one in manifest.resources],
        asked_for=libraries,
        data=data,
        seed=f"{name} {version} {digest}",
        made_by=installed_version("strongroom"),
    )


def _listed(resource: Resource, name: str) -> str:
    """Path of a file; its name, where the model is that one file."""
    return name if resource.path == WHOLE_FILE else resource.path


def _ancestor(name: str) -> dict[str, str]:
    found = {"type": "machine-learning-model", "name": name}
    if _HUB.fullmatch(name):
        found["purl"] = f"pkg:huggingface/{name}"
    return found


def _card(facts: StatedFacts, data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The model card with what is stated; empty where nothing is."""
    parameters: dict[str, Any] = {}
    if facts.task:
        parameters["task"] = facts.task
    if facts.family:
        parameters["architectureFamily"] = facts.family
    if facts.architecture:
        parameters["modelArchitecture"] = facts.architecture
    if data:
        parameters["datasets"] = [{"ref": one["bom-ref"]} for one in data]
    for side, columns in (("inputs", facts.inputs), ("outputs", facts.outputs)):
        if columns:
            parameters[side] = [{"format": one} for one in columns]
    return {"modelParameters": parameters} if parameters else {}
