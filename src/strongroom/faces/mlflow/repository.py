"""MLflow's interface to artifacts, over the shelf of sealed files.

MLflow's own handlers only list through it: files come and go as streams in `transfer.py`. What
would put clear bytes into temporary files is refused.
"""

import json
from typing import Any, NoReturn

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException, MlflowTraceDataCorrupted
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.tracing.utils.artifact_utils import TRACE_DATA_FILE_NAME

from strongroom.errors import TooLargeError
from strongroom.faces.mlflow.guard import require_caller
from strongroom.faces.mlflow.house import mounted
from strongroom.faces.mlflow.places import Place, parse
from strongroom.faces.mlflow.refusals import in_mlflow_terms

ROOT = "strongroom://artifacts"
MAX_TRACE_BYTES = 64 * 2**20


class SealedArtifactRepository(ArtifactRepository):  # type: ignore[misc] # MLflow is untyped
    """The files below one URI."""

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """What is directly below `path`, which counts from the URI."""
        with in_mlflow_terms(reading=True):
            place, directory = self._place(path)
            entries = mounted().shelf.entries(require_caller(), place, directory)
        start = f"{path}/" if path else ""
        return [FileInfo(f"{start}{it.name}", it.size is None, it.size) for it in entries]

    def download_trace_data(self) -> dict[str, Any]:
        """The spans of the trace whose place this is.

        Raises: MlflowException where they are not there, not permitted, or too many.
        """
        with in_mlflow_terms(reading=True):
            place, name = self._place(TRACE_DATA_FILE_NAME)
            with mounted().shelf.open(require_caller(), place, name) as reader:
                if reader.size > MAX_TRACE_BYTES:
                    raise TooLargeError("the trace is too large to be shown")
                content = b"".join(reader.chunks())
        try:
            data = json.loads(content)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise MlflowTraceDataCorrupted(artifact_path=TRACE_DATA_FILE_NAME)
        return data

    def log_artifact(self, *_: object, **__: object) -> NoReturn:
        """Refused: the server takes files as streams only."""
        _refuse()

    def log_artifacts(self, *_: object, **__: object) -> NoReturn:
        """Refused: the server takes files as streams only."""
        _refuse()

    def download_artifacts(self, *_: object, **__: object) -> NoReturn:
        """Refused: it would leave clear bytes in the server's temporary files."""
        _refuse()

    def delete_artifacts(self, *_: object, **__: object) -> NoReturn:
        """Refused: files are deleted through their own route."""
        _refuse()

    def _download_file(self, *_: object, **__: object) -> NoReturn:
        _refuse()

    def _place(self, path: str | None) -> tuple[Place, str]:
        below = self.artifact_uri.removeprefix(ROOT).strip("/")
        return parse("/".join(it for it in (below, (path or "").strip("/")) if it))


def _refuse() -> NoReturn:
    raise MlflowException("the server does not handle artifacts this way", BAD_REQUEST)
