"""What of pyarrow's habits a short command does without."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PANDAS = "pandas"


class _NoPandas(MetaPathFinder):
    """Finds that there is no pandas."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ImportError for pandas; None for everything else."""
        del path, target
        if fullname == _PANDAS:
            raise ModuleNotFoundError("pandas is not looked for now", name=_PANDAS)
        return None


def without_pandas() -> None:
    """Have pyarrow decide now, for the whole process, that values given to it are not pandas'.

    It would import pandas when the first list becomes an array, which takes half a second of CPU
    time. `to_pandas` still works afterwards. For processes of our own only: elsewhere somebody may
    hand pandas' series to pyarrow.
    """
    if _PANDAS in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa

        pa.array([])
    finally:
        sys.meta_path.remove(finder)
