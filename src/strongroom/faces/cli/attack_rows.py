"""Rows of `strongroom attack`: tables, arrays, images; and what its options say of them."""

import json
import re
from dataclasses import dataclass

import pyarrow as pa

from strongroom.engines.robustness.assessment import arrays
from strongroom.errors import TooLargeError, UsageError
from strongroom.faces.cli.files import STDIN, one_file
from strongroom.faces.cli.study import StudyOptions
from strongroom.faces.cli.training import whole_table

_SHAPE = re.compile(r"\d{1,5}(x\d{1,5}){1,2}")


@dataclass(frozen=True, slots=True)
class EvasionOptions:
    """What is said of evasion and of images beside a plan; empty or None: nothing.

    Attributes:
        image_shape: as `28x28x1`.
        image_range: as `0:255`.
        shown: images that a report draws.
        norm: `l2` or `linf`.
        distance: that a model should stand, a share of ranges.
        tolerance: of a regression.
    """

    image_shape: str = ""
    image_range: str = ""
    shown: int = 0
    norm: str = ""
    distance: float | None = None
    tolerance: float | None = None

    def lines(self) -> list[str]:
        """As tables of a plan. Raises: UsageError."""
        said = {"norm": self.norm or None, "declared": self.distance, "tolerance": self.tolerance}
        lines = [f"{name} = {json.dumps(one)}" for name, one in said.items() if one is not None]
        evasion = ["[evasion]", *lines] if lines else []
        if not self.image_shape:
            if self.image_range or self.shown:
                raise UsageError("of which shape are the images?", next_step="--image-shape 28x28")
            return evasion
        if not _SHAPE.fullmatch(self.image_shape):
            raise UsageError("--image-shape is given as 28x28, 32x32x3 or 3x32x32")
        images = ["[images]", f"shape = [{self.image_shape.replace('x', ', ')}]"]
        if self.image_range:
            images += self._range()
        if self.shown:
            images.append(f"shown = {self.shown}")
        return [*evasion, *images]

    def _range(self) -> list[str]:
        low, _, high = self.image_range.partition(":")
        try:
            return [f"low = {float(low)!r}", f"high = {float(high)!r}"]
        except ValueError:
            raise UsageError("--image-range is given as 0:255") from None


def rows_of(path: str, study: StudyOptions, label: str) -> pa.Table:
    """The rows of a file: its only table, or its array. Raises: as `whole_table`, `table_of`."""
    if not is_array(path):
        return whole_table(path, study)
    for file, _ in one_file(path):
        data = file.read(arrays.MAX_BYTES + 1)
        if len(data) > arrays.MAX_BYTES:
            raise TooLargeError(f"`{path}` has more than {arrays.MAX_BYTES:,} bytes")
        return arrays.table_of(data, label)
    raise UsageError(f"`{path}` cannot be read")


def is_array(path: str) -> bool:
    """Whether a file is one of NumPy's, by its name."""
    return path != STDIN and path.endswith(arrays.ENDINGS)


def label_of(label: str, *paths: str) -> str:
    """The column of labels: what was said, or that of an archive of arrays."""
    return label or (arrays.LABEL if any(one.endswith(".npz") for one in paths) else "")
