"""What a model's folder states: read where it is well formed, and nothing breaks the reading."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.scanning.cyclonedx import libraries
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.requirements import read_environment
from strongroom.engines.scanning.stated_facts import SOURCES, StatedFacts, read_facts
from strongroom.engines.scanning.yaml_reading import read_yaml

README = b"""---
license: apache-2.0
pipeline_tag: text-classification
datasets:
- imdb
- clinic/notes
base_model: google-bert/bert-base-uncased
---
# A model
"""
CONFIG = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
MLMODEL = """flavors: {}
signature:
  inputs: '[{"name": "age", "type": "long"}, {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
  outputs: '[{"type": "double"}]'
"""  # noqa: E501 # as MLflow writes it


def test_what_is_stated() -> None:
    found = read_facts({
        "README.md": README, "config.json": json.dumps(CONFIG).encode(), "MLmodel": MLMODEL.encode()
    })  # fmt: skip
    assert found == StatedFacts(
        architecture="BertForSequenceClassification", family="bert", task="text-classification",
        licence="Apache-2.0", datasets=("imdb", "clinic/notes"),
        bases=("google-bert/bert-base-uncased",), inputs=("age: long", "float32 [-1, 4]"),
        outputs=("double",),
    )  # fmt: skip


@pytest.mark.parametrize("readme", [
    b"# license: mit\n", b"---\nlicense: mit\n", b"---\n- mit\n---\n", b"---\nlicense: [mit\n---\n",
    b"---\nlicense: other\n---\n", b"---\nlicense: {a: b}\n---\n", b"",
], ids=["no front", "no end", "a list", "no YAML", "no SPDX", "a mapping", "empty"])  # fmt: skip
def test_what_states_no_licence(readme: bytes) -> None:
    assert read_facts({"README.md": readme}) == StatedFacts()


def test_lines_stay_lines() -> None:
    config = {"model_type": "a\nb\x1b[31m" + "c" * 500, "architectures": ["", 4, None, "d"]}
    found = read_facts({"config.json": json.dumps(config).encode()})
    assert found.family.isprintable()
    assert len(found.family) <= 200
    assert found.architecture == "d"


@given(st.dictionaries(st.sampled_from(SOURCES), st.binary(max_size=200) | st.sampled_from(
    [b"[" * 5_000, b"---\n" + b"{a: " * 5_000 + b"\n---\n", b"signature: {inputs: '[[[]]]'}", b"1"]
)))  # fmt: skip
def test_nothing_breaks_the_reading(sources: dict[str, bytes]) -> None:
    assert isinstance(read_facts(sources), StatedFacts)


def test_a_pin_goes_before_an_open_version() -> None:
    found = libraries([
        ("requirements.txt", b"numpy==2.4.6\nscipy>=1\n"), ("conda.yaml", b"not: [yaml"),
        ("python_env.yaml", b"dependencies: [numpy, scipy>=1]\n"),
    ])  # fmt: skip
    assert [(one.ref, one.asked_for) for one in found] == [
        ("pkg:pypi/numpy@2.4.6", "numpy==2.4.6"), ("pkg:pypi/scipy", "scipy>=1"),
    ]  # fmt: skip


def test_deep_brackets_cost_no_time() -> None:
    # The parser's own time would be some hours here.
    deep = b"[" * 500_000
    for read in (read_yaml, read_environment):
        with pytest.raises(MalformedError, match="too deep"):
            read(deep)
    assert read_yaml(b"[" * 150 + b"]" * 150 + b"  # " + b"[" * 40) is not None
    assert read_yaml(b"- {a: [1]}\n" * 300) == [{"a": [1]}] * 300
