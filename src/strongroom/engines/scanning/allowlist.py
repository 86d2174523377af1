"""What the programs of honest models call, by module, exact name and argument shape.

Four sources:

1. `_STRICT`: callables that are safe only with certain argument values. Written by hand.
2. `allowed_callables.ALLOWED`: every use that pickles of scikit-learn, NumPy, SciPy and pandas
   really make, observed by `examples/generate_allowlist.py`.
3. `allowed_frameworks.FRAMEWORKS`: the same for torch, XGBoost, LightGBM and CatBoost, by
   `examples/generate_framework_allowlist.py`.
4. `_BY_HAND`: the few uses of other versions of these libraries.

Never by module: libraries hold functions that write files or reach `os` beside honest classes.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from strongroom.engines.scanning.allowed_callables import ALLOWED
from strongroom.engines.scanning.allowed_frameworks import FRAMEWORKS
from strongroom.engines.scanning.dangers import Danger
from strongroom.engines.scanning.symbols import (
    Call,
    Items,
    Made,
    Opaque,
    Persistent,
    Symbol,
    kind_of,
)

_UNKNOWN_USE = "SR-PKL-005"
# No name on a list comes near it; what is longer is not kept for the next time either.
_LONGEST_KNOWN = 250
_SHOWN_ARGUMENTS = 8
# Calls that protocols 0 to 2 make for bytes, whose results are plain again.
_PLAIN_RESULTS = frozenset(("_codecs.encode", "builtins.bytes", "builtins.bytearray"))
_BASES = frozenset(
    f"builtins.{name}" for name in ("object", "dict", "list", "tuple", "set", "frozenset", "str")
)
_BUILTIN_TYPES = frozenset(
    [
        "bool",
        "int",
        "float",
        "complex",
        "str",
        "bytes",
        "bytearray",
        "list",
        "tuple",
        "dict",
        "set",
        "frozenset",
        "object",
        "range",
        "slice",
        "Ellipsis",
        "NotImplemented",
    ]
)
# Types of tensors, which torch's pickles hand over by name: `torch.float32`.
_TORCH_KIND = re.compile(r"@torch\.[a-z]\w*\Z")
_BY_HAND: dict[str, frozenset[str]] = {
    "collections:OrderedDict": frozenset({"call()", "setitem", "build(dict)", "new()"}),
    "numpy:bool_": frozenset(),
    "numpy.random._pickle:__bit_generator_ctor": frozenset({"call(str)"}),
    "numpy.random._pickle:__randomstate_ctor": frozenset({"call(str)"}),
    "numpy.random._pickle:__generator_ctor": frozenset({"call(str)"}),
    # What torch of other versions writes than the one the list was generated with.
    "torch._utils:_rebuild_tensor_v2": frozenset({"call(object,int,tuple,tuple,int,object)"}),
    "torch._utils:_rebuild_tensor": frozenset({"call(persistent,int,tuple,tuple)"}),
    "torch.nn.backends.thnn:_get_thnn_function_backend": frozenset({"call()"}),
    "torch:device": frozenset({"call(str)", "call(str,int)"}),
    **{
        f"torch.jit._pickle:build_{kind}list": frozenset({"call(list)"})
        for kind in ("int", "tensor", "double", "bool")
    },
    # The types of tensors in torch's archives of before 0.1.10, named and never called.
    **{
        f"{module}:{kind}Tensor": frozenset()
        for module in ("torch", "torch.cuda")
        for kind in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte")
    },
    "torch.jit._pickle:build_tensor_from_id": frozenset({"call(int)"}),
    "torch.jit._pickle:restore_type_tag": frozenset(
        f"call({kind},str)" for kind in ("list", "dict", "object")
    ),
}


def _frameworks() -> dict[str, dict[str, frozenset[str]]]:
    """Module → name → uses, of the written form of the generated list."""
    modules: dict[str, dict[str, frozenset[str]]] = {}
    for module, names_by_use in FRAMEWORKS.items():
        known = modules.setdefault(module, {})
        for text, names in names_by_use.items():
            found = frozenset[str]() if text == "-" else _OBJECT_USES
            if text not in ("-", "object"):
                found = frozenset(text.split(" | "))
            known.update(dict.fromkeys(names.split(), found))
    return modules


_OBJECT_USES = frozenset(("new()", "build(dict)"))
_FRAMEWORKS = _frameworks()


def canonical(symbol: Symbol) -> Symbol:
    """The symbol under its present name; NumPy 2 moved `numpy.core` to `numpy._core`."""
    if symbol.module == "numpy.core" or symbol.module.startswith("numpy.core."):
        return Symbol("numpy._core" + symbol.module[len("numpy.core") :], symbol.name)
    return symbol


def use_of(call: Call) -> str:
    """The shape of a call: `call(int,object)`, `new()`, `build(dict)`, `setitem`."""
    if call.how in ("append", "setitem", "additems"):
        return call.how
    if call.args is None:
        return f"{call.how}(?)"
    kinds = [kind_of(argument) for argument in call.args[:_SHOWN_ARGUMENTS]]
    kinds = [
        "@torch.*" if kind[:7] == "@torch." and _TORCH_KIND.match(kind) else kind for kind in kinds
    ]
    if len(call.args) > _SHOWN_ARGUMENTS:
        kinds.append("…")
    return f"{call.how}({','.join(kinds)})"


def uses(symbol: Symbol) -> frozenset[str] | None:
    """Allowed uses of a global, or None if it is on no list."""
    if len(symbol.module) + len(symbol.name) > _LONGEST_KNOWN:
        return None
    return _uses(symbol)


@lru_cache(maxsize=1024)
def _uses(symbol: Symbol) -> frozenset[str] | None:
    symbol = canonical(symbol)
    key = f"{symbol.module}:{symbol.name}"
    found = ALLOWED.get(symbol.module, {}).get(symbol.name)
    lists = (found, _FRAMEWORKS.get(symbol.module, {}).get(symbol.name), _BY_HAND.get(key))
    known = [uses_ for uses_ in lists if uses_ is not None]
    if known:
        return frozenset[str]().union(*known)
    if key in _STRICT:
        return frozenset()
    if symbol.module == "builtins" and symbol.name in _BUILTIN_TYPES:
        return frozenset()
    return None


def may_be_named(symbol: Symbol) -> bool:
    """Whether a model may refer to this global at all."""
    return uses(symbol) is not None


def objection(call: Call) -> Danger | None:
    """Why a call is not an allowed use of its target; None where it is one."""
    target = call.target
    if isinstance(target, Made):
        target = target.target
    if not isinstance(target, Symbol):
        return Danger(_UNKNOWN_USE, "calls or changes something that is itself computed")
    target = canonical(target)
    if call.how == "build" and (kept := _kept_tool(call.args)) is not None:
        return Danger(_UNKNOWN_USE, f"keeps `{kept}` to be called later")
    if call.how == "build" and target.module.startswith("scipy.stats."):
        refused = _distribution(call)
        if refused is not None:
            return refused
    strict = _STRICT.get(f"{target.module}:{target.name}")
    if strict is not None:
        why = strict(call)
        return None if why is None else Danger(_UNKNOWN_USE, f"`{target}` {why}")
    allowed = uses(target)
    if allowed is None:
        return Danger("SR-PKL-004", f"uses `{target}`, which no known model format needs")
    use = use_of(call)
    if use in allowed:
        return None
    return Danger(
        _UNKNOWN_USE, f"`{target}` is used as {use}, which no honest model was seen to do"
    )


def may_be_text(value: object) -> bool:
    """Whether a symbolic value could be a `str` when the program really runs.

    Both unpicklers refuse to import by anything else. What the generated list allows returns
    arrays, types and estimators, never text.
    """
    if isinstance(value, Opaque):
        return value.kind in ("str", "unknown")
    if isinstance(value, Made):
        target = value.target
        if not isinstance(target, Symbol):
            return True
        target = canonical(target)
        return target.name not in ALLOWED.get(target.module, {})
    return isinstance(value, str | Persistent)


# ---- callables that are safe with certain values only ----


def _getattr(call: Call) -> str | None:
    """`getattr(Class, "method")`, which pickles of bound class methods hold."""
    if call.how == "call" and call.args is not None and len(call.args) == 2:  # owner, name
        owner, name = call.args
        if isinstance(owner, Symbol) and isinstance(name, str):
            # The machine reports the joined name as a global of its own, judged there.
            return None
    return "looks up an attribute of something that is not a plain class"


def _reconstructor(call: Call) -> str | None:
    """`copyreg._reconstructor(cls, base, state)`: the `cls.__new__` of protocols 0 and 1."""
    args = call.args
    if call.how != "call" or args is None or len(args) != 3:  # class, base, state
        return "is called with other than a class, its base and a state"
    cls, base, state = args
    if not isinstance(cls, Symbol) or not isinstance(base, Symbol):
        return "is called with a computed class"
    if str(base) not in _BASES:
        return f"builds on `{base}`"
    if str(base) == "builtins.object" and state is not None:
        return "gives a state to a plain object"
    return _constructs(cls)


def _newobj(call: Call) -> str | None:
    if call.how != "call" or not call.args or not isinstance(call.args[0], Symbol):
        return "is called with a computed class"
    refused = objection(Call("new", call.args[0], call.args[1:], call.offset))
    return None if refused is None else refused.does


def _constructs(cls: Symbol) -> str | None:
    allowed = uses(cls)
    if allowed is not None and any(use.startswith("new(") for use in allowed):
        return None
    return f"makes an instance of `{cls}`, which no honest model was seen to do"


def _encode(call: Call) -> str | None:
    """`_codecs.encode(text, "latin1")`: how protocols 0 to 2 write bytes."""
    if call.how == "call" and call.args is not None and len(call.args) == 2:  # text, codec
        text, codec = call.args
        if kind_of(text) == "str" and codec in ("latin1", "latin-1", "utf-8", "ascii"):
            return None
    return "encodes by an unusual codec"


_ARGUMENTS = r"[A-Za-z_][A-Za-z0-9_]*(?:, [A-Za-z_][A-Za-z0-9_]*)*, |"
_SCALES = r" loc=0, scale=1| loc=0"
_PARSER_TEXT = re.compile(
    rf"""
def _parse_args\(self, (?P<a>{_ARGUMENTS})(?P<s>{_SCALES})\):
    return \((?P=a)\), (?P<o>loc, scale|loc, 1)

def _parse_args_rvs\(self, (?P=a)(?P=s), size=None\):
    return self\._argcheck_rvs\((?P=a) (?P=o), size=size\)

def _parse_args_stats\(self, (?P=a)(?P=s), moments='mv'\):
    return \((?P=a)\), (?P=o), moments
""",
    re.ASCII,
)


def _distribution(call: Call) -> Danger | None:
    """SciPy's distributions run `_parse_arg_template` of their state as Python code.

    Only the text that SciPy itself writes passes: a fixed frame around names.
    """
    state = call.args[0] if call.args else None
    if not isinstance(state, Items) or state.kind != "dict" or not state.whole:
        return Danger(_UNKNOWN_USE, "gives a distribution a state that SciPy no longer writes")
    for pair in state.items:
        key, value = pair if isinstance(pair, tuple) else (None, None)
        if not isinstance(key, str):
            return Danger(_UNKNOWN_USE, "gives a distribution a state with a strange key")
        if key == "_parse_arg_template" and not (
            isinstance(value, str) and _PARSER_TEXT.fullmatch(value)
        ):
            return Danger("SR-PKL-001", "runs Python code kept in a SciPy distribution's state")
    return None


def _partial(call: Call) -> str | None:
    """`functools.partial`: its function must be an allowed global, its arguments plain."""
    if call.how == "call":
        plain = call.args is not None and len(call.args) == 1
        if plain and call.args and isinstance(call.args[0], Symbol):
            bound = call.args[0]
            is_fit = may_be_named(bound) and bound not in _TOOLS
            return None if is_fit else f"binds `{bound}`"
        return "binds arguments to something computed"
    if call.how == "build" and call.args and isinstance(call.args[0], tuple):
        function = call.args[0][0] if call.args[0] else None
        if isinstance(function, Symbol) and may_be_named(function) and function not in _TOOLS:
            return None
        if isinstance(function, Made):
            return None  # judged where it was made
    return "is filled in an unusual way"


def _defaultdict(call: Call) -> str | None:
    if call.how in ("setitem", "build"):
        return None
    factory = call.args[0] if call.args else None
    if call.how == "call" and call.args is not None and len(call.args) <= 1:
        if factory is None or (
            isinstance(factory, Symbol)
            and factory.module == "builtins"
            and factory.name in _BUILTIN_TYPES
        ):
            return None
        if isinstance(factory, Symbol) and may_be_named(factory):
            return None
    return "makes its values by something unusual"


def _path(call: Call) -> str | None:
    """A path made of texts, kept beside a model. Making one touches no file."""
    if call.how == "call" and call.args and all(isinstance(part, str) for part in call.args):
        return None
    return "is used for more than naming a path"


def _plain_type(call: Call) -> str | None:
    """A built-in type called on plain values, at most three of them."""
    if call.how == "call" and call.args is not None and len(call.args) <= 3:  # as range and slice
        if all(_is_plain(argument) for argument in call.args):
            return None
        return "is called on something that is not a plain value"
    if call.how == "new" and not call.args:
        return None
    return None if call.how in ("append", "setitem", "additems") else "is used in an unusual way"


def _is_plain(value: object) -> bool:
    if isinstance(value, Made):
        return value.origin in _PLAIN_RESULTS
    return value is None or isinstance(value, int | float | str | bytes | tuple | Items | Opaque)


_STRICT: dict[str, Callable[[Call], str | None]] = {
    "builtins:getattr": _getattr,
    "copyreg:_reconstructor": _reconstructor,
    "copyreg:__newobj__": _newobj,
    "_codecs:encode": _encode,
    "functools:partial": _partial,
    "collections:defaultdict": _defaultdict,
    **{
        f"{module}:{name}": _path
        for module in ("pathlib", "pathlib._local")
        for name in ("PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath")
    },
    **{
        f"builtins:{name}": _plain_type
        for name in [
            "set",
            "frozenset",
            "bytearray",
            "bytes",
            "complex",
            "range",
            "slice",
            "list",
            "dict",
            "tuple",
            "int",
            "float",
            "str",
            "bool",
        ]
    },
}
STRICT_NAMES = frozenset(_STRICT)

# Pickles call these while they load; no model keeps one as an attribute.
_TOOLS = frozenset(
    Symbol(module, name)
    for module, name in (
        ("builtins", "getattr"),
        ("copyreg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("_codecs", "encode"),
        ("functools", "partial"),
    )
)


def _kept_tool(args: tuple[object, ...] | None) -> Symbol | None:
    """A tool of the pickle protocol among the attributes that a state sets, or None."""
    for state in args or ():
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, Symbol) and part in _TOOLS:
                return part
            for pair in part.items if isinstance(part, Items) else ():
                value = pair[1] if isinstance(pair, tuple) and len(pair) == 2 else pair
                if isinstance(value, Symbol) and value in _TOOLS:
                    return value
    return None
