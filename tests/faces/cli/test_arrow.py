"""A short command does not import pandas, and whoever needs it still can."""

import subprocess
import sys

_WORK = """
import sys
from strongroom.faces.cli.arrow import without_pandas
without_pandas()
import pyarrow as pa
table = pa.table({"a": [1, None]})
assert "pandas" not in sys.modules
assert table.to_pandas()["a"].isna().tolist() == [False, True]
import pandas
assert pa.array(pandas.Series([1.0, None])).null_count == 1
without_pandas()
assert pa.Table.from_pandas(pandas.DataFrame({"a": [1]})).num_rows == 1
"""


def test_pandas_comes_only_when_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WORK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
