"""skops files: which types their schema would build, judged by the pickles' allow-list.

skops itself builds no type that its caller does not trust; which ones it is told to trust may
come from the same folder, so the schema is judged here all the same.

Source: skops 0.16, protocol 2 (`skops/io/_general.py` and its siblings).
"""

from strongroom.engines.scanning.allowlist import may_be_named
from strongroom.engines.scanning.dangers import danger
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.symbols import Symbol
from strongroom.engines.scanning.weights import load_json

_HIGHEST_PROTOCOL = 2
# Build nothing but what they are named after, whatever class the file states.
_PLAIN = frozenset(
    (
        "JsonNode",
        "ListNode",
        "SetNode",
        "SliceNode",
        "BytesNode",
        "BytearrayNode",
        "NdArrayNode",
        "MaskedArrayNode",
        "DTypeNode",
        "RandomStateNode",
        "RandomGeneratorNode",
        "SparseMatrixNode",
    )
)
# Build the class they state; honest for the classes on the list.
_BUILDERS = frozenset(
    (
        "DictNode",
        "DefaultDictNode",
        "TupleNode",
        "ObjectNode",
        "TypeNode",
        "FunctionNode",
        "TreeNode",
        "LossNode",
        "ConstructorFromReduceNode",
        "PartialNode",
        "CachedNode",
        "_DictWithDeprecatedKeysNode",
    )
)


def is_skops_schema(schema: object) -> bool:
    """Whether a `schema.json` is that of a skops file."""
    return isinstance(schema, dict) and "__loader__" in schema and "protocol" in schema


def check_skops_schema(data: bytes) -> list[Problem]:
    """What is wrong with the schema of a skops file.

    Raises:
        MalformedError: it is not one, or of a protocol that is not known here.
    """
    schema = load_json(data)
    if not isinstance(schema, dict) or not is_skops_schema(schema):
        raise MalformedError("a schema.json that is not of skops")
    protocol = schema["protocol"]
    if type(protocol) is not int or not 0 <= protocol <= _HIGHEST_PROTOCOL:
        raise MalformedError("a skops protocol that is not known here")
    problems: dict[str, Problem] = {}
    stack: list[object] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
            if "__loader__" in node:
                for problem in _judge(node):
                    problems.setdefault(problem.subject, problem)
    return list(problems.values())


def _judge(node: dict[str, object]) -> list[Problem]:
    loader, module, name = node["__loader__"], node.get("__module__"), node.get("__class__")
    if not isinstance(loader, str) or not isinstance(module, str) or not isinstance(name, str):
        raise MalformedError("a skops node without a type")
    full = f"{module}.{name}"
    if loader in _PLAIN:
        return []
    return judge_type(full, how=loader, known_loader=loader in _BUILDERS)


def judge_type(full: str, *, how: str = "ObjectNode", known_loader: bool = True) -> list[Problem]:
    """What is wrong with trusting a type or function of this dotted name."""
    module, _, name = full.rpartition(".")
    symbol = Symbol(module, name)
    allowed = may_be_named(symbol) and not module.startswith("scipy.stats")
    why = danger(symbol)
    if why is not None and not allowed:
        return [Problem(why.rule_id, f"builds `{full}`, which {why.does}", None, full)]
    if not known_loader:
        says = f"builds `{full}` by `{how}`, which is not plain data"
        return [Problem("SR-SKP-001", says, None, full)]
    if not allowed:
        says = f"builds `{full}`, which no known model format needs"
        return [Problem("SR-SKP-001", says, None, full)]
    return []
