"""Names that are known to be dangerous, with what they do in words.

This list never makes anything safe: what is on neither list goes to a person. It only tells a
sure attack from the merely unknown, and gives the finding its words. Names are looked up along
the whole dotted path, so that `sklearn.utils.os.system` is found whichever module it starts from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from strongroom.engines.scanning.symbols import Symbol


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a name is dangerous: the rule it breaks, and what it does."""

    rule_id: str
    does: str


# Longer names are not kept for the next time: a file may be made of them.
_KEPT_CHARS = 250
_RUNS = "SR-PKL-001"
_REACHES = "SR-PKL-002"
_LOADS = "SR-PKL-003"
_CARRIES = "SR-PKL-016"


def _table(*rows: tuple[str, str, str]) -> Mapping[str, Danger]:
    return {name: Danger(rule, does) for rule, does, names in rows for name in names.split()}


# Any use of anything in these modules is an attack in a model file.
_MODULES: Mapping[str, Danger] = _table(
    (
        _RUNS,
        "runs commands of the operating system",
        (
            "os posix nt subprocess pty commands popen2 _posixsubprocess asyncio "
            "multiprocessing concurrent.futures.process _winapi"
        ),
    ),
    (
        _RUNS,
        "runs Python code",
        (
            "runpy code codeop importlib imp zipimport pkgutil pydoc pdb bdb doctest timeit "
            "trace cProfile profile idlelib lib2to3 distutils setuptools pkg_resources pip "
            "ensurepip venv unittest test nose pytest _pytest numpy.testing numpy.f2py "
            "numpy.distutils IPython this antigravity _testcapi _xxsubinterpreters "
            "modulefinder py_compile compileall torch.utils.cpp_extension "
            "torch.utils.bottleneck torch.utils.collect_env torch.utils._config_module "
            "torch.utils.data.datapipes torch.jit.unsupported_tensor_ops torch.fx "
            "torch.testing torch.utils.benchmark torch.multiprocessing torch.distributed "
            "torch._C._jit cgitb mailcap _osx_support _aix_support _pyrepl tracemalloc "
            "numpy.ma.testutils numpy._build_utils sympy tensorflow.python.ops.script_ops "
            "torch.distributed.rpc torch._dynamo torch._inductor pandas.core.computation "
            "numexpr sympy.core.sympify sympy.parsing cffi ctypes _ctypes gc inspect atexit "
            "sched threading _thread sys faulthandler site joblib.externals.loky "
            "logging.config logging.handlers tkinter turtle "
            "sklearn.externals.array_api_extra.testing numpy.ctypeslib _frozen_importlib "
            "_frozen_importlib_external"
        ),
    ),
    (
        _REACHES,
        "reads or writes files",
        (
            "shutil io _io pathlib tempfile fileinput linecache filecmp mmap zipfile tarfile "
            "gzip bz2 lzma dbm sqlite3 _sqlite3 netrc plistlib mailbox codecs wave aifc sunau "
            "fcntl resource numpy.lib._datasource numpy.lib._npyio_impl numpy.lib.npyio "
            "numpy.lib.format pandas.io scipy.io tables joblib.memory joblib._store_backends"
        ),
    ),
    (
        _REACHES,
        "opens a network connection",
        (
            "socket _socket ssl _ssl http urllib urllib2 urllib3 httplib ftplib smtplib "
            "poplib imaplib telnetlib nntplib xmlrpc socketserver webbrowser requests httpx "
            "aiohttp paramiko fsspec s3fs gcsfs boto3 botocore huggingface_hub torch.hub "
            "torch.utils.model_zoo select selectors sklearn.datasets._openml"
        ),
    ),
    (
        _CARRIES,
        "carries code of its own, which runs when the model is loaded or used",
        ("cloudpickle joblib.externals.cloudpickle dill"),
    ),
    (
        _LOADS,
        "loads a pickle",
        ("pickle _pickle cPickle shelve marshal copyreg.pickle"),
    ),
)

# Single names, in whatever module they are met.
_NAMES: Mapping[str, Danger] = _table(
    (
        _RUNS,
        "runs Python code",
        (
            "builtins.eval builtins.exec builtins.compile builtins.execfile builtins.apply "
            "builtins.__import__ builtins.breakpoint builtins.globals builtins.locals "
            "builtins.vars builtins.help builtins.input builtins.setattr builtins.delattr "
            "builtins.type builtins.map builtins.filter builtins.memoryview builtins.super "
            "types.CodeType types.FunctionType types.LambdaType types.MethodType "
            "types.ModuleType types.SimpleNamespace.__init__ operator.attrgetter "
            "operator.methodcaller _operator.attrgetter _operator.methodcaller "
            "functools.reduce _functools.reduce functools.singledispatch "
            "functools.cached_property itertools.starmap itertools.accumulate "
            "numpy.frompyfunc numpy.apply_along_axis numpy.piecewise numpy.fromfunction "
            "pandas.eval pandas.DataFrame.eval pandas.DataFrame.query "
            "pandas.core.frame.DataFrame.eval pandas.core.frame.DataFrame.query "
            "joblib.parallel.Parallel joblib.parallel.BatchedCalls torch.jit.load "
            "torch.ops.load_library sklearn.utils._param_validation.validate_params "
            "uuid._get_command_stdout platform._syscmd_file platform._syscmd_ver platform.popen "
            "yaml.load yaml.load_all yaml.unsafe_load yaml.unsafe_load_all"
        ),
    ),
    (
        _REACHES,
        "reads or writes files",
        (
            "builtins.open builtins.file numpy.load numpy.save numpy.savez numpy.savetxt "
            "numpy.savez_compressed numpy.loadtxt numpy.genfromtxt numpy.fromfile "
            "numpy.memmap numpy.fromregex numpy.DataSource numpy._core.multiarray.fromfile "
            "numpy.ndarray.tofile numpy.ndarray.dump numpy._core.records.fromfile "
            "numpy._core.memmap.memmap pandas.read_csv pandas.DataFrame.to_csv "
            "sklearn.datasets._base.load_files sklearn.datasets.load_files "
            "sklearn.datasets._svmlight_format_io.load_svmlight_file "
            "sklearn.datasets.fetch_openml sklearn.datasets._base._fetch_remote "
            "torch.from_file torch.save joblib.dump joblib.Memory logging.FileHandler "
            "pandas.DataFrame.to_pickle pandas.core.generic.NDFrame.to_pickle"
        ),
    ),
    (
        _LOADS,
        "loads a pickle",
        (
            "joblib.load joblib.numpy_pickle.load dill.load dill.loads dill.load_session "
            "dill.load_module dill._dill.load dill._dill.loads dill.session.load_module "
            "cloudpickle.load cloudpickle.loads "
            "joblib.numpy_pickle_compat.load_compatibility torch.load "
            "torch.serialization.load pandas.read_pickle mlflow.pyfunc.load_model "
            "mlflow.sklearn.load_model skops.io.load skops.io.loads"
        ),
    ),
)

# A walk along these attributes leaves whatever object it began with.
_ESCAPES = frozenset(
    [
        "__globals__",
        "__builtins__",
        "__subclasses__",
        "__bases__",
        "__base__",
        "__mro__",
        "mro",
        "__code__",
        "__import__",
        "__getattribute__",
        "__loader__",
        "__spec__",
        "__closure__",
        "__func__",
        "__self__",
        "__dict__",
        "__class__",
        "__reduce__",
        "__reduce_ex__",
        "__setattr__",
        "__delattr__",
        "f_globals",
        "gi_frame",
    ]
)
_ENDS = {
    "system": _RUNS,
    "popen": _RUNS,
    "Popen": _RUNS,
    "eval": _RUNS,
    "exec": _RUNS,
    "execv": _RUNS,
    "execve": _RUNS,
    "spawnl": _RUNS,
    "check_output": _RUNS,
    "check_call": _RUNS,
    "import_module": _RUNS,
    "__import__": _RUNS,
    "runstring": _RUNS,
    "run_module": _RUNS,
    "open": _REACHES,
    "urlopen": _REACHES,
    "urlretrieve": _REACHES,
}
_WORDS = {_RUNS: "runs code", _REACHES: "reads or writes files or network"}
# Standard modules that libraries import and that a dotted name can step into.
_STEPS = frozenset(
    [
        "os",
        "posix",
        "nt",
        "sys",
        "subprocess",
        "shutil",
        "socket",
        "builtins",
        "importlib",
        "pickle",
        "_pickle",
        "ctypes",
        "runpy",
        "inspect",
        "threading",
        "multiprocessing",
        "tempfile",
        "pathlib",
        "marshal",
        "urllib",
    ]
)


def danger(symbol: Symbol) -> Danger | None:
    """Why importing or calling this name is dangerous, or None if it is not known to be."""
    if len(symbol.module) + len(symbol.name) > _KEPT_CHARS:
        return _danger(symbol)
    return _kept_danger(symbol)


def _danger(symbol: Symbol) -> Danger | None:
    full = f"{symbol.module}.{symbol.name}"
    for name in (full, _public(full)):
        if name in _NAMES:
            return _NAMES[name]
    parts = symbol.module.split(".")
    for length in range(1, len(parts) + 1):
        found = _MODULES.get(".".join(parts[:length]))
        if found is not None:
            return found
    steps = symbol.name.split(".")
    for step in steps:
        if step in _ESCAPES:
            return Danger(_RUNS, f"walks through `{step}` to reach other objects")
    for step in steps:
        if step in _STEPS:
            return Danger(_RUNS, f"reaches the module `{step}` through another module")
    rule = _ENDS.get(steps[-1])
    return Danger(rule, _WORDS[rule]) if rule else None


_kept_danger = lru_cache(maxsize=1024)(_danger)


def _public(full: str) -> str:
    """The public name of a private twin, so that one entry covers both."""
    return full.replace("numpy.core.", "numpy._core.").replace("__builtin__.", "builtins.")
