"""The stock `model_signing` and a CycloneDX validator, to judge what we write by what others read.

They are looked for in this interpreter, else in the one that `STOCK_TOOLS_PYTHON` names
(`pip install model-signing pyOpenSSL cyclonedx-python-lib[json-validation]`).
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DRIVER = Path(__file__).with_name("stock_driver.py")
_NEEDED = ("model_signing", "OpenSSL", "cyclonedx", "jsonschema")


class StockTools:
    """The tools in a process of their own; each call gives what went wrong, or nothing."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _do(self, **request: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, str)
        return answer

    def sign(self, model: Path, signature: Path, **options: object) -> str:
        return self._do(do="sign", model=str(model), signature=str(signature), **options)

    def verify(self, model: Path, signature: Path, **options: object) -> str:
        return self._do(do="verify", model=str(model), signature=str(signature), **options)

    def validate(self, text: str, version: str = "1.7") -> str:
        return self._do(do="validate", text=text, version=version)


@contextmanager
def stock_tools() -> Iterator[StockTools]:
    """The tools; skips the test where they are not installed."""
    python = os.environ.get("STOCK_TOOLS_PYTHON", "")
    if not python:
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            pytest.skip(f"the stock tools are not installed here: {', '.join(missing)}")
        python = sys.executable
    with subprocess.Popen(
        [python, str(_DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield StockTools(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
