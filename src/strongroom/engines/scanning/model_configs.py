"""Configurations beside a model that make a loader fetch, import or run something.

Hugging Face folders, sentence-transformers, diffusers, adapters and NeMo keep JSON and YAML that
name classes; a tokenizer's carries its chat template. Nothing named is imported here.

Source: transformers 5 (`dynamic_module_utils`, `tokenization_utils_base`), sentence-transformers
(`modules.json`), diffusers (`model_index.json`), Hydra (`_target_`); PyYAML, "YAML tags".
"""

import re
from pathlib import PurePosixPath

from strongroom.engines.scanning.dangers import danger
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.symbols import Symbol
from strongroom.engines.scanning.templates import check_template
from strongroom.engines.scanning.weights import load_json

MAX_CONFIG = 16 << 20
_CODE_KEYS = ("auto_map", "custom_pipelines", "custom_generate", "auto_mapping")
_TARGET_KEYS = ("_target_", "_recursive_target_")
_TEMPLATE_KEYS = ("chat_template", "tool_template", "prompt_template")
_TEMPLATE_ENDINGS = (".jinja", ".jinja2", ".j2")
_YAML_ENDINGS = (".yaml", ".yml")
_YAML_TARGET = re.compile(r"_target_['\"]?\s*:\s*['\"]?([A-Za-z_][\w.]*)")
_YAML_TAG = re.compile(r"!!python/|!<tag:yaml\.org,2002:python/|tag:yaml\.org,2002:python/")
_MODULE_HOMES = ("sentence_transformers.", "transformers.", "torch.nn.")
_INDEX_HOMES = frozenset(("diffusers", "transformers", "onnxruntime", "optimum", "flax"))
_TARGET_HOMES = ("torch.nn.", "torch.optim.", "nemo.", "pytorch_lightning.", "lightning.")


def is_template(name: str) -> bool:
    """Whether a file of this name is a template for chats."""
    return name.lower().endswith(_TEMPLATE_ENDINGS)


def is_config(name: str) -> bool:
    """Whether a file of this name is a configuration that is looked into."""
    return name.lower().endswith((".json", *_YAML_ENDINGS))


def check_config(name: str, data: bytes) -> list[Problem]:
    """What a configuration would make its loader do; nothing where it is of no such kind."""
    if name.lower().endswith(_YAML_ENDINGS):
        return _check_yaml(data.decode("utf-8", "replace"))
    try:
        config = load_json(data)
    except MalformedError:
        return []  # a text like any other: no loader of these gets past it
    base = PurePosixPath(name).name
    problems: dict[tuple[str, str], Problem] = {}
    found: list[Problem] = []
    if base == "modules.json" and isinstance(config, list):
        found += _modules(config)
    if base == "model_index.json" and isinstance(config, dict):
        found += _index(config)
    found += _walk(config)
    for problem in found:
        problems.setdefault((problem.rule_id, problem.subject), problem)
    return list(problems.values())


def _walk(config: object) -> list[Problem]:
    problems: list[Problem] = []
    stack = [config]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            for key, value in node.items():
                problems.extend(_entry(key, value))
            stack.extend(value for value in node.values() if isinstance(value, dict | list))
    return problems


def _entry(key: str, value: object) -> list[Problem]:
    if key in _CODE_KEYS and value:
        return [_own_code(key, value)]
    if key == "trust_remote_code" and value is True:
        says = "tells its loader to run code that comes with it"
        return [Problem("SR-HUG-001", says, None, key)]
    if key in _TARGET_KEYS and isinstance(value, str):
        return _target(value)
    if key in _TEMPLATE_KEYS:
        return _templates(value)
    return []


def _own_code(key: str, value: object) -> Problem:
    text = str(value)
    if "--" in text:  # owner/name--module.Class: code of another repository
        says = f"makes its loader fetch and run code of another repository, by `{key}`"
    else:
        says = f"makes its loader run code that comes with it, by `{key}`"
    return Problem("SR-HUG-001", says, None, f"{key}: {text}"[:200])


def _templates(value: object) -> list[Problem]:
    if isinstance(value, str):
        return check_template(value)
    problems = []
    entries = value if isinstance(value, list) else [value]
    for entry in entries[:1000]:
        for template in entry.values() if isinstance(entry, dict) else ():
            if isinstance(template, str):
                problems.extend(check_template(template))
    return problems


def _target(name: str) -> list[Problem]:
    module, _, last = name.rpartition(".")
    why = danger(Symbol(module or "builtins", last))
    if why is not None:
        says = f"makes its loader call `{name[:80]}`, which {why.does}"
        return [Problem("SR-HUG-002", says, None, name[:200])]
    if name.startswith(_TARGET_HOMES):
        return []
    says = f"makes its loader call `{name[:80]}`, which no known model format needs"
    return [Problem("SR-HUG-001", says, None, name[:200])]


def _modules(config: list[object]) -> list[Problem]:
    problems = []
    for entry in config[:1000]:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if isinstance(kind, str) and not kind.startswith(_MODULE_HOMES):
            problems.extend(_target(kind))
    return problems


def _index(config: dict[str, object]) -> list[Problem]:
    problems = []
    for key, value in config.items():
        if key.startswith("_") or not isinstance(value, list) or len(value) != 2:  # library, class
            continue
        library = value[0]
        if isinstance(library, str) and library not in _INDEX_HOMES:
            says = f"makes its loader import `{library[:80]}`, which may come with it"
            problems.append(Problem("SR-HUG-001", says, None, f"{key}: {library}"[:200]))
    return problems


def _check_yaml(text: str) -> list[Problem]:
    problems = []
    found = _YAML_TAG.search(text)
    if found is not None:
        says = "makes a YAML loader of Python build or call objects"
        problems.append(Problem("SR-HUG-002", says, found.start(), found[0]))
    for name in sorted(set(_YAML_TARGET.findall(text)))[:1000]:
        problems.extend(_target(name))
    return problems
