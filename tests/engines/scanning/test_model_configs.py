"""Configurations of Hugging Face folders and their kin: whose code would they run."""

import json

import pytest
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.Mine"}}),
        ("config.json", {"auto_map": {"AutoModel": "owner/other--modeling.Mine"}}),
        ("config.json", {"custom_pipelines": {"mine": {"impl": "pipeline.Mine"}}}),
        ("config.json", {"nested": [{"trust_remote_code": True}]}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tok.Mine", None]}}),
        ("modules.json", [{"idx": 0, "type": "mine.Pooling"}]),
        ("model_index.json", {"_class_name": "P", "unet": ["my_unet", "Net"]}),
        ("model_config.json", {"encoder": {"_target_": "clinic.Encoder"}}),
    ],
)
def test_configurations_that_bring_code(name: str, config: object) -> None:
    report = scan(json.dumps(config).encode(), name)
    assert (rules(report), report.verdict) == ({"SR-HUG-001"}, Verdict.REVIEW)
    assert not report.data_only


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"_target_": "os.system", "command": "id"}'),
        ("modules.json", '[{"type": "builtins.eval"}]'),
        ("model_config.yaml", "encoder:\n  _target_: subprocess.Popen\n  args: [id]\n"),
        ("config.yml", "a: !!python/object/apply:os.system ['id']\n"),
        ("config.yaml", "a: !<tag:yaml.org,2002:python/object/new:os.x> []\n"),
    ],
)
def test_configurations_that_run_code(name: str, text: str) -> None:
    assert_malicious(text.encode(), "SR-HUG-002", name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"architectures": ["BertModel"], "hidden_size": 4, "auto_map": {}}'),
        ("config.json", '{"trust_remote_code": false}'),
        ("modules.json", '[{"type": "sentence_transformers.models.Pooling"}]'),
        ("model_index.json", '{"_class_name": "P", "vae": ["diffusers", "AutoencoderKL"]}'),
        ("model_config.yaml", "optim:\n  _target_: torch.optim.Adam\n  lr: 0.1\n"),
        ("data.json", "[1, 2"),
        ("metrics.json", '{"auc": 0.9}'),
    ],
)
def test_honest_configurations(name: str, text: str) -> None:
    assert_clean(text.encode(), name)


def test_a_keras_configuration_beside_its_weights() -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}
    assert_malicious(json.dumps(config).encode(), "SR-KER-001", "model.json")
