"""What a model's folder says of the model in words: architecture, task, licence, data, columns.

Nothing of it is checked, so it is told as what is *stated*: by an MLflow `MLmodel`, a Hugging Face
`config.json`, and the front matter of its `README.md`.

Source: mlflow 3.17, `mlflow/models/signature.py`; huggingface_hub, `repocard_data.py`;
transformers, `configuration_utils.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strongroom.engines.scanning.licences import licence_of
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.yaml_reading import read_yaml

SOURCES = ("MLmodel", "config.json", "README.md")
MAX_SOURCE_BYTES = 1 << 20
_MAX_YAML = 1 << 18
_MAX_TEXT = 200
_MAX_LISTED = 1_000
_FRONT = re.compile(rb"\A---[ \t]*\r?\n(.*?\n)---[ \t]*\r?(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """What is stated; empty for what is not.

    Attributes:
        licence: SPDX expression, where what is stated is one without doubt.
        bases: names of the models that it was made from.
        inputs: `name: type` of each column.
    """

    architecture: str = ""
    family: str = ""
    task: str = ""
    licence: str = ""
    datasets: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def read_facts(sources: Mapping[str, bytes]) -> StatedFacts:
    """The facts out of those files of `SOURCES` that are there; an unreadable one states none."""
    config = _mapping(_json(sources.get("config.json", b"")))
    front = _FRONT.match(sources.get("README.md", b"").removeprefix(b"\xef\xbb\xbf"))
    card = _mapping(_yaml(front[1] if front else b""))
    signature = _mapping(_mapping(_yaml(sources.get("MLmodel", b""))).get("signature"))
    architectures = _texts(config.get("architectures"))
    return StatedFacts(
        architecture=architectures[0] if architectures else "",
        family=_text(config.get("model_type")),
        task=_text(card.get("pipeline_tag")),
        licence=licence_of("", _text(card.get("license")), []),
        datasets=_texts(card.get("datasets")),
        bases=_texts(card.get("base_model")),
        inputs=_columns(signature.get("inputs")),
        outputs=_columns(signature.get("outputs")),
    )


def _columns(stated: object) -> tuple[str, ...]:
    """The columns of one side of an MLflow signature, which is JSON in a text."""
    listed = _json(stated.encode()) if isinstance(stated, str) else None
    found = []
    for one in (listed if isinstance(listed, list) else [])[:_MAX_LISTED]:
        column = _mapping(one)
        tensor = _mapping(column.get("tensor-spec"))
        name, kind = _text(column.get("name")), _text(column.get("type"))
        if tensor:
            kind = f"{_text(tensor.get('dtype'))} {tensor.get('shape')}"[:_MAX_TEXT]
        if kind:
            found.append(f"{name}: {kind}" if name else kind)
    return tuple(found)


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """One line that a person may read."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:_MAX_TEXT]).strip()


def _texts(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(text for one in listed[:_MAX_LISTED] if (text := _text(one)))


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _yaml(content: bytes) -> object:
    try:
        return read_yaml(content) if len(content) <= _MAX_YAML else None
    except MalformedError:
        return None
