"""Gadgets in ordinary libraries, and functions that a pickle brings along.

Names are those that published work on attacks against pickle scanners tells of (PickleBall,
arXiv 2508.15987; The Art of Hide and Seek, arXiv 2508.19774; ShadowPickle, arXiv 2607.17503) and of
advisories on scanners. Each is put into programs made here; nothing is ever loaded.
"""

import collections
import marshal
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from tests.engines.scanning.scan_bytes import assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict

cloudpickle: Any = import_module("cloudpickle")

GADGETS = """
_aix_support._read_cmd_output _osx_support._read_output _osx_support._find_build_tool
_pyrepl.pager.pipe_pager asyncio.unix_events._UnixSubprocessTransport._start bdb.Bdb.run
bdb.Bdb.runeval cProfile.run cProfile.runctx cgitb.lookup code.InteractiveInterpreter.runcode
codeop.compile_command commands.getoutput ctypes.CDLL ctypes.util._findLib_gcc ctypes.WinDLL
distutils.file_util.write_file distutils.spawn.spawn doctest.debug_script ensurepip._run_pip
ftplib.FTP functools.reduce getpass.getpass http.client.HTTPSConnection http.server.test
idlelib.autocomplete.AutoComplete.fetch_completions idlelib.autocomplete.AutoComplete.get_entity
idlelib.calltip.Calltip.fetch_tip idlelib.calltip.get_entity idlelib.debugobj.ObjectTreeItem.SetText
idlelib.pyshell.ModifiedInterpreter.runcode idlelib.pyshell.ModifiedInterpreter.runcommand
idlelib.run.Executive.runcode imaplib.IMAP4_stream importlib.import_module inspect.getattr_static
lib2to3.pgen2.grammar.Grammar.loads lib2to3.pgen2.pgen.ParserGenerator.make_label
logging.config.fileConfig logging.FileHandler mailcap.findmatch mimetypes.init netrc.netrc
numpy.f2py.capi_maps.load_f2cmap_file numpy.f2py.crackfortran.getlincoef
numpy.f2py.crackfortran.myeval numpy.f2py.crackfortran._eval_length
numpy.f2py.crackfortran.param_eval numpy.f2py.diagnose.run_command numpy.load
numpy.testing._private.utils.runstring numpy.lib.npyio.load numpy.ctypeslib.load_library
operator.attrgetter operator.methodcaller os.popen os.execv pandas.eval pandas.read_pickle
pandas.io.clipboard.init_qt_clipboard pdb.run pip.main pkgutil.resolve_name
pkg_resources.run_script platform._syscmd_ver platform.popen plistlib.load posix.system
profile.Profile.run profile.Profile.runctx profile.run pty.spawn pydoc.locate pydoc.pipepager
pydoc.tempfilepager pydoc.render_doc runpy.run_module runpy._run_code shelve.open shlex.os.system
shutil.copyfile site.execsitecustomize smtplib.SMTP socket.socket sqlite3.connect ssl.os.system
statistics.sys.modules subprocess.Popen subprocess.run sys.settrace sysconfig._main tarfile.open
tempfile.NamedTemporaryFile test.support.script_helper.assert_python_ok test.test_os.os.system
threading.Thread timeit.main timeit.timeit torch._dynamo.guards.GuardBuilder.get
torch._inductor.codecache.compile_file torch._inductor.codecache.load_precompiled_source
torch.distributed.rpc.internal.PythonUDF torch.fx._symbolic_trace.compile
torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression torch.hub.load
torch.jit.load torch.jit.unsupported_tensor_ops.execWrapper torch.load
torch.serialization.load torch.utils._config_module.ConfigModule.load_config
torch.utils.bottleneck.__main__.run_autograd_prof torch.utils.bottleneck.__main__.run_cprofile
torch.utils.collect_env.run torch.utils.cpp_extension.load
torch.utils.data.datapipes.utils.decoder.basichandlers trace.Trace.run trace.Trace.runctx
types.CodeType types.FunctionType urllib.request.urlopen uuid._get_command_stdout
venv.create webbrowser.open xmlrpc.client.ServerProxy zipfile.ZipFile zipimport.zipimporter
joblib.load joblib.memory.Memory joblib.numpy_pickle.load joblib.parallel.BatchedCalls
sklearn.datasets.load_files sklearn.datasets._base._fetch_remote sklearn.utils._joblib.os.system
scipy.io.loadmat scipy._lib._util.importlib.import_module scipy.weave.inline
tensorflow.io.read_file keras.models.load_model keras.src.saving.saving_lib.load_model
transformers.AutoModel.from_pretrained mlflow.pyfunc.load_model skops.io.load dill.loads
cloudpickle.loads builtins.__import__ builtins.compile builtins.eval builtins.exec
builtins.open __builtin__.execfile copyreg._extension_registry marshal.loads pickle.loads
_pickle.Unpickler types.ModuleType numexpr.evaluate sympy.sympify yaml.load yaml.unsafe_load
""".split()  # noqa: SIM905 # names in a block read better than one a line


def split(name: str) -> tuple[str, str]:
    """Module and name: what begins with a capital letter or is the last part is the name."""
    parts = name.split(".")
    for index, part in enumerate(parts[1:], 1):
        if part[0].isupper() or part == "os":
            return ".".join(parts[:index]), ".".join(parts[index:])
    return ".".join(parts[:-1]), parts[-1]


@pytest.mark.parametrize("name", GADGETS)
def test_no_gadget_passes(name: str) -> None:
    module, attribute = split(name)
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, attribute))
    programs = (
        f"c{module}\n{attribute}\n(S'id'\ntR.".encode(),
        f"(S'id'\ni{module}\n{attribute}\n.".encode(),
        b"\x80\x04" + texts + b"\x93\x8c\x02id\x85R.",
        b"\x80\x04" + texts + b"\x93.",
        b"\x80\x04}" + b"\x8c\x01k" + texts + b"\x93s.",
    )
    for program in programs:
        report = scan(program)
        assert report.verdict in {Verdict.REVIEW, Verdict.MALICIOUS}, (name, program)


def test_most_gadgets_are_known_for_what_they_are() -> None:
    known = sum(
        scan("c{}\n{}\n(S'id'\ntR.".format(*split(name)).encode()).verdict is Verdict.MALICIOUS
        for name in GADGETS
    )
    assert known >= 0.85 * len(GADGETS), (known, len(GADGETS))


@pytest.mark.parametrize(
    "name",
    [
        "yaml.unsafe_load", "torch.utils.model_zoo.load_url", "numpy.ctypeslib.load_library",
        "_frozen_importlib_external.SourceFileLoader", "uuid._get_command_stdout",
        "platform._syscmd_file", "logging.FileHandler", "pandas.DataFrame.to_pickle",
    ],
)  # fmt: skip # a block of names
def test_what_surely_attacks_is_called_so(name: str) -> None:
    assert_malicious("c{}\n{}\n(S'id'\ntR.".format(*split(name)).encode())


def harmless(x: float) -> float:
    return float(np.mean(x))


def harmful(x: str) -> object:
    import os

    return os.system(x)  # noqa: S605 # never called


def evaluating(x: str) -> object:
    return eval(x)  # noqa: S307 # never called


def nested(x: str) -> Callable[[], object]:
    return lambda: __import__(x)


def by_value(function: Callable[..., object]) -> bytes:
    """The function as cloudpickle sends it where its module is not."""
    function.__module__ = "__main__"
    data: bytes = cloudpickle.dumps(function)
    return data


def test_a_function_of_ones_own_says_what_it_names() -> None:
    report = scan(by_value(harmless))
    assert report.verdict is Verdict.REVIEW
    assert rules(report) == {"SR-PKL-016"}
    assert any("`mean`" in finding.says for finding in report.findings)


class Flavor:
    """What people hand to mlflow.pyfunc: a class of one's own, which has its class from `type`."""

    nothing: type = type(None)

    def predict(self, context: object, model_input: float) -> float:
        return harmless(model_input)


Pair = collections.namedtuple("Pair", "a b")  # noqa: PYI024 # as people write it


@pytest.mark.parametrize("value", [Flavor(), Pair(1, 2)], ids=["class", "tuple"])
def test_a_class_of_ones_own_goes_to_a_person_not_to_the_police(value: object) -> None:
    type(value).__module__ = harmless.__module__ = "__main__"
    report = scan(cloudpickle.dumps(value))
    assert report.verdict is Verdict.REVIEW, report.findings
    assert "SR-PKL-016" in rules(report)


def test_the_class_of_none_and_classes_made_while_loading() -> None:
    assert scan(pickle.dumps(type(None))).verdict is Verdict.REVIEW
    several: list[tuple[object, ...]] = [(1,), ("X", (), {}), (None, (), {})]
    for arguments in several:
        call = b"cbuiltins\ntype\n" + pickle.dumps(arguments, 1)[:-1] + b"R."
        for program in (call, b"cbuiltins\ntype\n(NtR0" + call):
            report = assert_malicious(program, "SR-PKL-001")
            assert any("calls `builtins.type(" in finding.says for finding in report.findings)


@pytest.mark.parametrize("function", [harmful, evaluating, nested])
def test_a_function_that_reaches_for_commands(function: Callable[[str], object]) -> None:
    report = assert_malicious(by_value(function), "SR-PKL-001")
    assert any("reaches for" in finding.says for finding in report.findings)


class Runs:
    """Pickles as a call of a function that comes along."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[float]]:
        return harmless, (1.0,)


def test_a_function_that_runs_at_once() -> None:
    harmless.__module__ = "__main__"
    report = assert_malicious(cloudpickle.dumps(Runs()), "SR-PKL-001")
    assert any("while it is loaded" in finding.says for finding in report.findings)


def test_code_through_marshal() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[bytes]]:
            return marshal.loads, (marshal.dumps(harmful.__code__),)

    assert_malicious(pickle.dumps(Evil()), "SR-PKL-003")
