"""Keras' configurations: which classes and functions they would make Keras import and call.

A configuration names classes as JSON. Whatever is not one of Keras' own that only computes goes to
a person; what runs code, loads another model or reads a file while loading is an attack.

Source: Keras 3.15, `saving/serialization_lib.py`, `legacy/saving/serialization.py`.
"""

from collections.abc import Iterator

from strongroom.engines.scanning.dangers import danger
from strongroom.engines.scanning.keras_names import CLASSES, FUNCTIONS, OPERATIONS
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.symbols import Symbol
from strongroom.engines.scanning.weights import load_json

_RUNS_CODE = {
    "Lambda": "runs Python code when the model is loaded",
    "__lambda__": "runs Python code when the model is loaded",
    "TFOpLambda": "runs a function that its configuration names",
    "SlicingOpLambda": "runs a function that its configuration names",
    "TFSMLayer": "loads a SavedModel from a path that its configuration names",
    "TorchModuleWrapper": "loads a pickled torch module",
    "JaxLayer": "calls functions that its configuration names",
    "FlaxLayer": "calls functions that its configuration names",
}
# Values that Keras writes as objects of a kind of their own.
_VALUES = frozenset(
    [
        "__keras_tensor__",
        "__tensor__",
        "__numpy__",
        "__ellipsis__",
        "__slice__",
        "__bytes__",
        "__typespec__",
        "TensorShape",
        "CompositeTensor",
    ]
)
# What a configuration names must not be of these: they read files or switch checks off.
_KERAS_TOOLS = ("utils", "saving", "config", "backend", "datasets", "applications", "export")
_FILE_KEYS = ("vocabulary", "idf_weights")
_HOMES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")


def check_keras_config(text: bytes) -> list[Problem]:
    """What a Keras configuration would run, read or need.

    Raises:
        MalformedError: it is not JSON.
    """
    problems: dict[tuple[str, str], Problem] = {}
    stack = [load_json(text)]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            for problem in _judge(node):
                problems.setdefault((problem.rule_id, problem.subject), problem)
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return list(problems.values())


def _judge(node: dict[str, object]) -> Iterator[Problem]:
    for key in _FILE_KEYS:
        value = node.get(key)
        if isinstance(value, str) and value:
            says = f"reads `{value[:80]}` while it is loaded, as its {key}"
            yield Problem("SR-KER-004", says, None, value[:200])
    name, module = node.get("class_name"), node.get("module")
    if not isinstance(name, str):
        if isinstance(module, str) and not _is_keras(module) and module != "builtins":
            yield _foreign(module, "")
        return
    if name in _RUNS_CODE:
        yield Problem("SR-KER-001", f"its `{name}` {_RUNS_CODE[name]}", None, name)
        return
    if module is not None and not isinstance(module, str):
        yield Problem("SR-KER-002", "names a class in an unusual way", None, name[:200])
        return
    if name in _VALUES:
        return
    yield from _named(name, module, node)


def _named(name: str, module: str | None, node: dict[str, object]) -> Iterator[Problem]:
    called = node.get("config") if name in ("function", "method") else name
    if name in ("function", "method") and not isinstance(called, str):
        called = str(called.get("name")) if isinstance(called, dict) else "?"
    called = str(called)
    if module and module != "builtins" and not _is_keras(module):
        yield _foreign(module, called)
    elif module and any(f".{tool}" in f".{module}." for tool in _KERAS_TOOLS) and _is_tool(module):
        says = f"calls `{module}.{called}`, which is a tool of Keras and no part of a model"
        yield Problem("SR-KER-001", says, None, f"{module}.{called}"[:200])
    elif not _is_known(called, module):
        says = f"needs `{called[:80]}`, which is not a known class of Keras"
        yield Problem("SR-KER-002", says, None, called[:200])


def _is_keras(module: str) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in _HOMES)


def _is_tool(module: str) -> bool:
    parts = [part for part in module.split(".") if part not in ("src", "tensorflow", "python")]
    return len(parts) > 1 and parts[1] in _KERAS_TOOLS


def _is_known(called: str, module: str | None) -> bool:
    if module is not None and ".ops" in module:
        return called in OPERATIONS
    base = called.rpartition(">")[2] if called.startswith("keras") else called
    return base in CLASSES or base in FUNCTIONS or (module is None and base in OPERATIONS)


def _foreign(module: str, name: str) -> Problem:
    full = f"{module}.{name}".rstrip(".")
    why = danger(Symbol(module, name or "?"))
    if why is not None:
        return Problem("SR-KER-001", f"imports `{full[:80]}`, which {why.does}", None, full[:200])
    says = f"imports `{full[:80]}`, which is not part of Keras"
    return Problem("SR-KER-002", says, None, full[:200])
