"""Chat templates: whether a Jinja template reaches for more than messages and text.

A template is parsed, never rendered. Jinja's own sandbox has been left more than once, and some
loaders use none, so any step towards Python's internals is an attack whatever would run it.

Source: Jinja 3.1 (`nodes`, `sandbox`); Hugging Face, "Chat templates"; CVE-2024-34359.
"""

import re

from strongroom.engines.scanning.problems import Problem

MAX_TEMPLATE = 1 << 20
_ESCAPE = re.compile(
    r"__\w+__|\bcycler\b|\blipsum\b|\bjoiner\b\s*\.|\bnamespace\b\s*\.\s*_|\.\s*_\w+"
    r"|\battr\s*\(|\|\s*attr\b|\bos\s*\.|\bpopen\b|\bsubprocess\b|\bimport_module\b"
    r"|\\x5f|\\u005f|\\137|\[\s*['\"]_"
)
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_INTERNAL = re.compile(r"__[a-z]+(?:_[a-z]+)*__|^_[a-z]|\{[^{}]*[.\[][^{}]*\}")
_FRAME_NAMES = frozenset(
    [
        "func_globals",
        "func_code",
        "gi_frame",
        "gi_code",
        "f_globals",
        "f_locals",
        "f_back",
        "cr_frame",
        "cr_code",
        "ag_frame",
        "ag_code",
        "tb_frame",
        "mro",
        "im_func",
        "im_class",
    ]
)
_NAMES = frozenset(("cycler", "lipsum", "joiner", "self", "caller", "varargs", "kwargs"))
_FILTERS_BY_NAME = frozenset(("attr", "xmlattr", "format"))
_ATTRIBUTE_FILTERS = frozenset(
    ["map", "selectattr", "rejectattr", "groupby", "sort", "sum", "min", "max", "unique", "join"]
)


def check_template(template: str) -> list[Problem]:
    """What is wrong with a template; at most one problem, the first that counts."""
    found = _ESCAPE.search(template)
    if found is not None:
        return [_escape(found[0])]
    if len(template) > MAX_TEMPLATE:
        return [Problem("SR-TPL-001", "has a template longer than any honest one")]
    if "{" not in template:
        return []
    # Imported here: it costs more than a whole scan of a model without a template.
    from jinja2 import Environment, TemplateSyntaxError

    try:
        tree = Environment(  # noqa: S701 # parsed only: nothing is rendered, so nothing to escape
            extensions=["jinja2.ext.loopcontrols"]
        ).parse(_GENERATION.sub("", template))
    except (TemplateSyntaxError, RecursionError, ValueError) as error:
        says = f"has a template that cannot be parsed ({type(error).__name__})"
        return [Problem("SR-TPL-001", says)]
    return _walk(tree)


def _escape(shown: str) -> Problem:
    says = f"its template uses `{shown[:40]}`, a way from Jinja into Python"
    return Problem("SR-GUF-002", says, None, shown[:200])


def _walk(tree: object) -> list[Problem]:
    from jinja2 import nodes

    stack: list[object] = [tree]
    while stack:
        node = stack.pop()
        if not isinstance(node, nodes.Node):
            continue
        stack.extend(node.iter_child_nodes())
        shown = ""
        if isinstance(node, nodes.Getattr):
            shown = node.attr if _is_internal(node.attr) else ""
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            shown = node.value if _reaches_in(node.value) else ""
        elif isinstance(node, nodes.Name) and node.ctx == "load" and node.name in _NAMES:
            shown = node.name
        elif isinstance(node, nodes.Filter) and node.name in _FILTERS_BY_NAME:
            shown = f"|{node.name}" if node.name == "attr" or _computed(node) else ""
        elif isinstance(node, nodes.Filter) and node.name in _ATTRIBUTE_FILTERS:
            hidden = _computed(node) or _names_private(node)
            shown = f"|{node.name} by a name of its own" if hidden else ""
        elif isinstance(node, nodes.Getitem) and _builds_text(node.arg):
            shown = "a name put together from parts"
        elif isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends):
            return [Problem("SR-TPL-001", "reads another template", None, "include")]
        if shown:
            return [_escape(shown)]
    return []


def _is_internal(name: str) -> bool:
    return name.startswith("_") or name in _FRAME_NAMES


def _reaches_in(text: str) -> bool:
    """A text that names Python's internals, or formats by attribute."""
    if text in _FRAME_NAMES:
        return True
    found = _INTERNAL.search(text)
    if found is None:
        return False
    if found[0].startswith("{"):
        return "_" in found[0]
    return found[0].startswith("__")


def _computed(node: object) -> bool:
    """Whether a filter is given anything but constants."""
    from jinja2 import nodes

    if not isinstance(node, nodes.Filter):
        return False
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    return any(_builds_text(argument) for argument in given)


def _names_private(node: object) -> bool:
    """Whether a filter is given the name of a private attribute."""
    from jinja2 import nodes

    given = node.find_all(nodes.Const) if isinstance(node, nodes.Filter) else ()
    return any(isinstance(one.value, str) and one.value.startswith("_") for one in given)


def _builds_text(node: object) -> bool:
    """Whether an expression puts a text together from parts, as names are hidden."""
    from jinja2 import nodes

    if isinstance(node, nodes.Concat | nodes.Add | nodes.Mul | nodes.Mod):
        inner = list(node.find_all(nodes.Const))
        return any(isinstance(part.value, str) for part in inner)
    hiding = ("join", "replace", "format", "reverse", "lower", "list", "string")
    return isinstance(node, nodes.Filter) and node.name in hiding
