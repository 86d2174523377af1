"""ONNX Runtime tells nobody what it does: neither in the server nor in the sandbox."""

import subprocess
import sys
import textwrap
from pathlib import Path

from strongroom.services.jobs.confinement import ALLOWED_VARIABLES
from strongroom.services.jobs.process import _environment

_LOAD = """
    import onnx
    from onnx import TensorProto, helper

    from strongroom.services.endpoints.runners import OnnxRunner

    def rows(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2])

    node = helper.make_node("Identity", ["in"], ["out"])
    graph = helper.make_graph([node], "g", [rows("in")], [rows("out")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    OnnxRunner(model.SerializeToString(), ["a", "b"])
"""


def test_loading_a_model_in_the_server_leaves_no_identity(tmp_path: Path) -> None:
    # A new environment: what the tests set, and `CI`, would silence the runtime by themselves.
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_LOAD)],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
        timeout=240,
    )
    assert list(tmp_path.rglob("*")) == []


def test_the_sandbox_is_told_to_be_quiet() -> None:
    assert _environment()["ORT_DISABLE_TELEMETRY"] == "1"
    assert set(_environment()) <= ALLOWED_VARIABLES
