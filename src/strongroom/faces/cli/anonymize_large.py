"""Anonymizing a table that does not fit into memory: the file is read three times."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from strongroom.engines.privacy.anonymize.recipe import Recipe
from strongroom.engines.privacy.anonymize.streaming import Counting, Plan, planned
from strongroom.engines.privacy.anonymize.verify import Proof
from strongroom.engines.privacy.discover.sampling import DEFAULT_ROWS, RowSampler
from strongroom.engines.reading.types import ReadTable
from strongroom.errors import TableError, UsageError
from strongroom.faces.cli import masked_files, output
from strongroom.faces.cli.drafts import draft
from strongroom.faces.cli.files import NotRead, WalkLimits, walk
from strongroom.faces.cli.study import SAMPLE_SEED, StudyOptions, tables_of

Tell = Callable[[str, str, int], None]


@contextmanager
def the_table(path: Path, study: StudyOptions, limits: WalkLimits) -> Iterator[ReadTable]:
    """The one table of a file, as a stream. Raises: TableError."""
    for found in walk([path], limits):
        if isinstance(found, NotRead):
            raise TableError(f"`{found.shown}` {found.reason}")
        with closing(tables_of(found.handle, found.inside.name, study)) as tables:
            table = next(tables, None)
            if table is None:
                raise TableError("the file holds no table")
            yield table
        return


def sampled(path: Path, study: StudyOptions, limits: WalkLimits) -> RowSampler:
    """A sample of the whole file."""
    with the_table(path, study, limits) as table:
        sampler = RowSampler(table.schema, SAMPLE_SEED, study.rows or DEFAULT_ROWS)
        for batch in table.batches:
            sampler.add(batch)
        return sampler


def run_large(
    path: Path, recipe: Recipe, files: dict[str, str], study: StudyOptions, limits: WalkLimits,
    to: Path, *, force: bool,
) -> tuple[Plan, Proof, int]:  # fmt: skip
    """Count, search, write; the plan, the proof and the rows read.

    Raises: UsageError: there is nowhere to write.
    """
    with output.working("anonymizing") as tell:
        counting = Counting(recipe)
        with the_table(path, study, limits) as table:
            for batch in table.batches:
                counting.add(batch)
                tell(str(path), "counted", table.rows)
        plan = planned(counting, recipe, files)
        proof = _written(path, plan, study, limits, to, partial(tell, str(path)), force=force)
    return plan, proof, counting.rows


def _written(
    path: Path, plan: Plan, study: StudyOptions, limits: WalkLimits, to: Path,
    tell: Callable[[str, int], None], *, force: bool,
) -> Proof:  # fmt: skip
    proofs: list[Proof] = []
    with the_table(path, study, limits) as table:
        form = masked_files.out_form(table.form, to)
        if form in masked_files.TEXTS:
            raise UsageError("a table is not written as text", next_step="use .csv or .jsonl")
        schema = plan.schema(table.schema)
        rows = plan.recoded(table.batches, os.urandom, proofs)
        # The draft appears at its place after the last row, which is after the verification.
        with draft(to, force=force) as file:
            for piece in masked_files.table_bytes(rows, schema, form):
                file.write(piece)
                tell("written", table.rows)
    return proofs[0]
