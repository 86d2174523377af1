"""Keras' configurations: classes that run code, read files, or come from elsewhere."""

import json
from typing import Any

import pytest

from strongroom.engines.scanning.findings import RULES, Verdict
from strongroom.engines.scanning.keras_config import check_keras_config
from strongroom.engines.scanning.reading import MalformedError

Config = dict[str, Any]


def verdicts(layer: Config) -> dict[str, Verdict]:
    """Rules that a model with this layer breaks."""
    model = {"class_name": "Sequential", "module": "keras", "config": {"layers": [layer]}}
    found = check_keras_config(json.dumps(model).encode())
    return {problem.rule_id: RULES[problem.rule_id].verdict for problem in found}


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Lambda", "module": "keras.layers"},
        {"class_name": "Lambda", "config": {"function": ["code"]}},
        {"class_name": "__lambda__", "config": {"value": "4wEA"}},
        {"class_name": "TFOpLambda", "config": {"function": "math.add"}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "x"}},
        {"class_name": "TorchModuleWrapper", "module": "keras.layers"},
        {"class_name": "JaxLayer", "module": "keras.layers"},
        {"class_name": "system", "module": "os"},
        {"class_name": "function", "module": "os", "config": "system"},
        {"class_name": "function", "module": "builtins.x", "config": {"name": "eval"}},
        {"class_name": "function", "module": "keras.utils", "config": "get_file"},
        {"class_name": "get_file", "module": "keras.src.utils.file_utils"},
        {"class_name": "function", "module": "keras.config", "config": "enable_unsafe"},
        {"class_name": "load_model", "module": "keras.saving"},
        {"class_name": "Dense", "config": {"activation": {"class_name": "Lambda"}}},
    ],
)
def test_configurations_that_run_code(layer: Config) -> None:
    assert verdicts(layer)["SR-KER-001"] is Verdict.MALICIOUS


@pytest.mark.parametrize("key", ["vocabulary", "idf_weights"])
def test_layers_that_read_a_file(key: str) -> None:
    layer = {"class_name": "StringLookup", "module": "keras.layers"}
    assert verdicts({**layer, "config": {key: "/etc/passwd"}}) == {"SR-KER-004": Verdict.MALICIOUS}
    assert verdicts({**layer, "config": {key: ["a", "b"]}}) == {}


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Mine", "module": "clinic.layers"},
        {"class_name": "Mine"},
        {"class_name": "Dense", "module": "keras.layers", "config": {"x": {"class_name": "Own>A"}}},
        {"class_name": "function", "module": "builtins", "config": "mine"},
        {"class_name": "function", "config": 3},
        {"class_name": "Dense", "module": 3},
        {"module": "clinic"},
        {"class_name": "Map", "module": "keras.src.ops.core"},
    ],
)
def test_classes_from_elsewhere_need_a_person(layer: Config) -> None:
    assert verdicts(layer) == {"SR-KER-002": Verdict.REVIEW}


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Dense", "module": "keras.layers"},
        {"class_name": "Dense"},
        {"class_name": "function", "module": "builtins", "config": "relu"},
        {"class_name": "__keras_tensor__", "config": {"shape": [1]}},
        {"class_name": "Sin", "module": "keras.src.ops.numpy"},
        {"class_name": "Functional", "module": "keras.src.models.functional"},
        {"class_name": "DTypePolicy", "module": "keras", "registered_name": None},
    ],
)
def test_classes_of_keras(layer: Config) -> None:
    assert verdicts(layer) == {}


def test_broken_configurations() -> None:
    for data in (b"", b"{", b'{"a": 1, "a": 2}', b"[" * 100_000):
        with pytest.raises(MalformedError):
            check_keras_config(data)
