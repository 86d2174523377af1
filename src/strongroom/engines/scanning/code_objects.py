"""Code that a pickle carries: what its functions would call, told from the names in it.

cloudpickle and dill write functions as the arguments of `types.CodeType`. Those are never made into
code here; the names and constants among them say what the function reaches for.

Source: CPython 3.11, `code` type; cloudpickle 3.1, `_make_function`; dill 0.4, `_create_code`.
"""

from strongroom.engines.scanning.symbols import Made, Symbol

_CODE_TYPES = frozenset(("types.CodeType", "dill._dill._create_code", "new.code"))
_MAKERS = frozenset(
    f"{module}.{name}"
    for module in ("cloudpickle.cloudpickle", "joblib.externals.cloudpickle.cloudpickle")
    for name in ("_make_function", "_make_skel_func", "_fill_function")
) | frozenset(
    ("types.FunctionType", "types.LambdaType", "dill._dill._create_function", "new.function")
)
_TYPE_LOOKUPS = ("_builtin_type", "_load_type")
# Names that run commands or other code wherever they are found.
_RUNS = frozenset(
    [
        "system",
        "popen",
        "Popen",
        "check_output",
        "check_call",
        "getoutput",
        "getstatusoutput",
        "execv",
        "execve",
        "execvp",
        "execl",
        "spawnl",
        "spawnv",
        "spawn",
        "fork",
        "forkpty",
        "eval",
        "exec",
        "__import__",
        "import_module",
        "run_module",
        "run_path",
        "CDLL",
        "dlopen",
        "marshal",
        "pty",
        "runpy",
        "ctypes",
        "subprocess",
        "urlretrieve",
        "urlopen",
        "socket",
        "create_connection",
        "rmtree",
        "__subclasses__",
        "__globals__",
        "__builtins__",
    ]
)
_SHOWN = 12
_MAX_NAMES = 4096


def is_code_type(target: object) -> bool:
    """Whether a call of this makes a code object."""
    if isinstance(target, Symbol):
        return str(target) in _CODE_TYPES
    if isinstance(target, Made) and target.origin.endswith(_TYPE_LOOKUPS):
        return bool(target.args) and "CodeType" in (target.args or ())
    return False


def is_function_maker(target: object) -> bool:
    """Whether a call of this runs a function that the file itself brought."""
    return isinstance(target, Made) and target.origin in _MAKERS


def described(args: tuple[object, ...] | None) -> tuple[str, str]:
    """The rule that a code object breaks, and what it would call in words."""
    names = _names(args or ())
    bad = sorted(names & _RUNS)
    if bad:
        shown = ", ".join(f"`{name}`" for name in bad[:_SHOWN])
        return "SR-PKL-001", f"carries code that reaches for {shown}"
    plain = sorted(name for name in names if name.isidentifier())
    shown = ", ".join(f"`{name[:40]}`" for name in plain[:_SHOWN]) or "nothing by name"
    return "SR-PKL-016", f"carries code that names {shown}"


def _names(args: tuple[object, ...]) -> set[str]:
    """Texts among the arguments, in tuples as well: names, variables and constants."""
    names: set[str] = set()
    stack: list[object] = list(args)
    seen = 0
    while stack and len(names) < _MAX_NAMES and seen < _MAX_NAMES:
        value = stack.pop()
        seen += 1
        if isinstance(value, str):
            names.add(value)
        elif isinstance(value, tuple):
            stack.extend(value)
    return names
