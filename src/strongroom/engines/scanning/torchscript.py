"""TorchScript: what the code in its archive may call.

The code is written in a small part of Python's grammar and runs in torch's own interpreter, which
knows no imports and no objects of Python. What it can do is what the operators can do that it
names, so those are read from its syntax tree; nothing is compiled.

Source: torch 2.13, `torch/csrc/jit/serialization/python_print.cpp` and its operator registry.
"""

import ast
import re
import warnings

from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import LimitError, MalformedError
from strongroom.engines.scanning.weights import load_json

_MAX_CODE = 4 << 20
_NAMESPACES = frozenset(
    [
        "prim",
        "aten",
        "quantized",
        "_quantized",
        "sparse",
        "mkldnn",
        "mkldnn_prepacked",
        "prepacked",
        "static_runtime",
        "profiler",
        "onednn",
        "inductor",
        "quantization",
    ]
)
_FILES = frozenset(("save", "from_file"))
_NETWORK = frozenset(("c10d", "_c10d_functional", "symm_mem", "rpc", "dist_autograd"))
_PYTHON_CALL = re.compile(rb"\^\w+\(")
_GRAPH_TARGET = re.compile(r"torch\.ops\.(\w+)\.(\w+)")


def check_torchscript(code: bytes) -> list[Problem]:
    """What is wrong with one file of code.

    Raises:
        MalformedError: it is not what torch writes.
        LimitError: it is too long to be parsed.
    """
    if len(code) > _MAX_CODE:
        raise LimitError("TorchScript code over the limit")
    if _PYTHON_CALL.search(code):
        says = "calls a Python function of the process that loads it"
        return [Problem("SR-TOR-001", says, None, "PythonOp")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the parser, about what hostile code looks like
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedError("code that is no TorchScript") from error
    problems: dict[str, Problem] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            says = "imports a module, which TorchScript never does"
            problems.setdefault("import", Problem("SR-TOR-001", says, None, "import"))
        elif isinstance(node, ast.Attribute) and (found := _judge(_dotted(node))) is not None:
            problems.setdefault(found.subject, found)
    return list(problems.values())


def check_exported_graph(data: bytes) -> list[Problem]:
    """What is wrong with the graph of a `torch.export` archive, by the operators it names.

    Raises:
        MalformedError: it is not JSON.
    """
    load_json(data)
    problems: dict[str, Problem] = {}
    for namespace, name in sorted(set(_GRAPH_TARGET.findall(data.decode("utf-8", "replace")))):
        found = _judge(["ops", namespace, name])
        if found is not None:
            problems[found.subject] = found
    return list(problems.values())


def _dotted(node: ast.Attribute) -> list[str]:
    """The parts of `a.b.c`; empty where it does not begin with a name."""
    parts = [node.attr]
    inner: ast.expr = node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    return [inner.id, *reversed(parts)] if isinstance(inner, ast.Name) else []


def _judge(parts: list[str]) -> Problem | None:
    if len(parts) == 2 and parts[0] == "torch":  # torch.relu is aten::relu
        namespace, name = "aten", parts[1]
    elif len(parts) == 3 and parts[0] == "ops":  # ops.prim.RaiseException
        namespace, name = parts[1], parts[2]
    else:
        return None
    full = f"{namespace}::{name}"
    if namespace == "aten" and name.split(".")[0] in _FILES:
        says = f"reads or writes a file by `{full}`"
        return Problem("SR-TOR-002", says, None, full)
    if namespace in _NETWORK:
        says = f"talks to other processes by `{full[:80]}`"
        return Problem("SR-TOR-001", says, None, full[:200])
    if namespace not in _NAMESPACES:
        says = f"needs the operator `{full[:80]}`, which a library of its own brings"
        return Problem("SR-TOR-001", says, None, full[:200])
    return None
