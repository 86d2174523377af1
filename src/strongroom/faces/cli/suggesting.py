"""`strongroom discover FILE --suggest COLUMN`: a type of one's own for what a column holds."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.suggesting import (
    LEAST_SHARE,
    MIN_DISTINCT,
    Suggestion,
    suggest_type,
)
from strongroom.engines.privacy.nested import leaves, values_in
from strongroom.engines.privacy.report import wording
from strongroom.errors import UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.files import NotRead, WalkLimits, walk
from strongroom.faces.cli.study import StudyOptions, TableStudy, study


def run_suggest(
    paths: list[Path], column: str, options: StudyOptions, limits: WalkLimits, *, as_json: bool
) -> int:
    """Print a type for the column, as TOML on stdout, and in words what it fits.

    Raises: UsageError where there is no such column, or nothing that its values share.
    """
    looked = _table_with(paths, column, options, limits)
    sample = sample_column(column, _values(looked, column))
    found = suggest_type(sample)
    if found is None:
        raise UsageError(
            f"the values of `{wording.shown_name(column)}` have no form in common",
            next_step=f"a pattern needs {MIN_DISTINCT} values that differ, and must fit "
            f"{LEAST_SHARE:.0%} of the rows; write one yourself: see docs/privacy.md",
        )
    others = _others(looked, column, found)
    known = looked.findings.column(column)
    if as_json:
        output.data(
            {
                "type": {"name": found.type.name, "pattern": found.type.pattern,
                         "checksum": found.type.checksum, "keywords": list(found.type.keywords)},
                "toml": found.toml(), "fits": found.words, "share": round(found.share, 4),
                "distinct": found.distinct, "other_columns": others,
                "built_in": known.type,
            },
            as_json=True,
        )  # fmt: skip
        return 0
    sys.stdout.write(found.toml())
    output.words(f"fits: {output.clean(found.words)}")
    output.words(f"matched {found.share:.1%} of the filled rows, {found.distinct} different values")
    for name, share in others.items():
        output.words(f"would also match {share:.1%} of the column {name}")
    if known.type is not None:
        output.words(f"the built-in type {known.type} finds this column already")
    output.words("keep it in a file, look at it, and give it with --types FILE")
    return 0


def _table_with(
    paths: list[Path], column: str, options: StudyOptions, limits: WalkLimits
) -> TableStudy:
    """The first table that has the column."""
    if len(paths) != 1 or not paths[0].is_file():
        raise UsageError("--suggest looks at one file", next_step="give the path of one file")
    for found in walk(paths, limits):
        if isinstance(found, NotRead):
            raise UsageError(f"cannot read the file: {found.reason}")
        for looked in study(found.handle, found.inside.name, options):
            if any(leaf.path == column for leaf in leaves(looked.schema)):
                return looked
    raise UsageError(
        f"no table of the file has a column `{wording.shown_name(column)}`",
        next_step="`strongroom discover FILE` lists the columns",
    )


def _values(looked: TableStudy, column: str) -> "pa.ChunkedArray[Any]":
    leaf = next(leaf for leaf in leaves(looked.schema) if leaf.path == column)
    values = looked.sample.column(leaf.column)
    if not leaf.is_inside:
        return values
    kind: Any = leaf.type
    return pa.chunked_array([values_in(chunk, leaf).values for chunk in values.chunks], type=kind)


def _others(looked: TableStudy, column: str, found: Suggestion) -> dict[str, float]:
    """Other columns of the table that the pattern fits, with the share of their rows."""
    shares = {}
    for leaf in leaves(looked.schema):
        if leaf.path == column:
            continue
        sample = sample_column(leaf.path, _values(looked, leaf.path))
        fits = [w for v, w in zip(sample.values, sample.weights, strict=True) if found.type.fits(v)]
        share = sum(fits) / max(1, sum(sample.weights))
        if share >= _TOLD:
            shares[wording.shown_name(leaf.path)] = round(share, 4)
    return shares


_TOLD = 0.05
"""Of another column's rows; fewer are not worth a line."""
