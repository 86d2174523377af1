"""`strongroom anonymize`: a copy of a table in which nobody stands alone; without a server."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from strongroom.engines.privacy.anonymize.assessing import Assessment, assessed
from strongroom.engines.privacy.anonymize.document import choices, document, summary
from strongroom.engines.privacy.anonymize.guide import (
    MANY_QUASI,
    columns_to_find,
    dated_columns,
    is_crowded,
    recipe_for,
)
from strongroom.engines.privacy.anonymize.hierarchy import MAX_FILE_CHARACTERS
from strongroom.engines.privacy.anonymize.lattice import Progress
from strongroom.engines.privacy.anonymize.promises import promises
from strongroom.engines.privacy.anonymize.recipe import (
    MAX_RECIPE_CHARACTERS,
    ColumnRecipe,
    ColumnRole,
    Recipe,
    Tree,
    parse_recipe,
    recipe_text,
)
from strongroom.engines.privacy.anonymize.running import anonymize
from strongroom.engines.privacy.discover.findings import TableFindings
from strongroom.engines.privacy.discover.sampling import DEFAULT_ROWS, RowSampler
from strongroom.engines.reading.types import Form, ReadTable
from strongroom.errors import TableError, TooLargeError, UsageError
from strongroom.faces.cli import masked_files, output
from strongroom.faces.cli.anonymize_options import AnonymizeOptions
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.files import STDIN, STDIN_SHOWN, NotRead, stdin_file, walk
from strongroom.faces.cli.study import (
    MAX_HELD_BYTES,
    SAMPLE_SEED,
    small_text,
    tables_of,
)


def run_anonymize(path: str | None, options: AnonymizeOptions) -> int:
    """Anonymize one table; the exit code."""
    if path is None:
        raise UsageError("what shall be anonymized?", next_step="give a file, or `-`")
    for file in (options.to, options.write_recipe, options.html):
        if file is not None and not options.explain:
            require_free(file, force=options.force)
    source = None if path == STDIN else Path(path)
    require_apart(
        (options.to, options.write_recipe, options.html),
        (
            source,
            options.recipe,
            options.population,
            options.auxiliary,
            *(options.hierarchies.glob("*.csv") if options.hierarchies is not None else ()),
        ),
    )
    with ending_cleanly():
        if options.large:
            return _large(path, options)
        table, form = _loaded(path, options)
        recipe = _recipe(table, options)
        _require_apart_from_files(recipe, options)
        if options.explain:
            _explain(recipe, options)
            return 0
        assessment = _anonymized(path, table, recipe, options)
        name = STDIN_SHOWN if path == STDIN else Path(path).name
        _write(assessment, name, form, options)
    return 0


# ---- in ----


def _loaded(path: str, options: AnonymizeOptions) -> tuple[pa.Table, Form]:
    """The one table of a file, whole, and the form it was read as."""
    for name, handle in _opened(path, options):
        return _whole(handle, name, options)
    raise TableError(f"`{path}` could not be read")


def _opened(path: str, options: AnonymizeOptions) -> Iterator[tuple[str, BinaryIO]]:
    if path == STDIN:
        yield STDIN_SHOWN, stdin_file(options.limits)
        return
    if Path(path).is_dir():
        raise UsageError("a folder is not one table", next_step="give a file")
    for found in walk([Path(path)], options.limits):
        if isinstance(found, NotRead):
            raise TableError(f"`{found.shown}` {found.reason}")
        yield found.inside.name, found.handle


def _whole(handle: BinaryIO, name: str, options: AnonymizeOptions) -> tuple[pa.Table, Form]:
    result: tuple[pa.Table, Form] | None = None
    with output.working("reading", quiet=options.to is None) as tell:
        for table in tables_of(handle, name, options.study):
            if result is not None:
                raise TableError(
                    "the file holds several tables", next_step="give one of them as a file"
                )
            result = _held(table, partial(tell, name)), table.form
    if result is None:
        raise TableError("the file holds no table")
    return result


def _held(table: ReadTable, tell: "partial[None]") -> pa.Table:
    batches, held = [], 0
    for batch in table.batches:
        held += batch.nbytes
        if held > MAX_HELD_BYTES:
            raise TooLargeError(
                f"the table has more than {MAX_HELD_BYTES:,} bytes in memory",
                next_step="read it in passes: --large",
            )
        batches.append(batch)
        tell("", table.rows)
    return pa.Table.from_batches(batches, table.schema).combine_chunks()


def _recipe(table: pa.Table, options: AnonymizeOptions) -> Recipe:
    """The recipe: from its file, else from what discovery finds."""
    if options.recipe is not None:
        return _recipe_file(options.recipe, options)
    sampler = RowSampler(table.schema, SAMPLE_SEED, options.study.rows or DEFAULT_ROWS)
    for batch in table.to_batches(max_chunksize=1 << 16):
        sampler.add(batch)
    return _guided(sampler, options)


def _recipe_file(path: Path, options: AnonymizeOptions) -> Recipe:
    if options.named.any or options.hierarchies is not None:
        raise UsageError(
            "the recipe decides about columns and their hierarchies",
            next_step="edit the recipe, or leave it out",
        )
    return parse_recipe(small_text(path, MAX_RECIPE_CHARACTERS))


def _guided(sampler: RowSampler, options: AnonymizeOptions) -> Recipe:
    """The recipe from what a sample of the rows holds."""
    named, sample = options.named, sampler.table()
    open_ = columns_to_find(sample, named.columns)
    if open_:
        looked_at = sample if set(sample.column_names) - named.columns else sample.select(open_)
        findings = options.study.findings(looked_at, sampler.guarantee())
    else:
        findings = TableFindings((), (), sampler.guarantee())
    recipe = recipe_for(
        sample.schema, findings, options.demands, options.method,
        quasi=named.quasi, sensitive=named.sensitive, keep=named.keep, drop=named.drop,
        weights=named.weights(), dated=dated_columns(sample),
    )  # fmt: skip
    return recipe if options.hierarchies is None else _with_files(recipe, options.hierarchies)


def _with_files(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the hierarchy files of a folder for its columns, small ones inside."""
    columns, files, room = dict(recipe.columns), {}, MAX_RECIPE_CHARACTERS // 2
    for name, column in recipe.columns.items():
        file = folder / f"{name}.csv"
        is_generalized = column.role in (ColumnRole.QUASI, ColumnRole.SENSITIVE)
        if not is_generalized or "/" in name or not file.is_file():
            continue
        text = small_text(file, MAX_FILE_CHARACTERS)
        room -= len(text)
        shown = file.name if room >= 0 else str(file)
        columns[name] = ColumnRecipe(
            column.role, Tree.FILE, shown, weight=column.weight, reason=column.reason
        )
        if room >= 0:
            files[shown] = text
    return replace(recipe, columns=columns, files=files)


def _paths(recipe: Recipe, options: AnonymizeOptions) -> dict[str, Path]:
    """Where the hierarchy files are: beside the recipe, unless it holds them itself."""
    beside = options.recipe.parent if options.recipe is not None else Path()
    return {
        column.file: beside / column.file
        for column in recipe.columns.values()
        if column.hierarchy is Tree.FILE and column.file not in recipe.files
    }


def _files(recipe: Recipe, options: AnonymizeOptions) -> dict[str, str]:
    """Texts of the hierarchy files."""
    return {
        name: small_text(path, MAX_FILE_CHARACTERS)
        for name, path in _paths(recipe, options).items()
    }


def _require_apart_from_files(recipe: Recipe, options: AnonymizeOptions) -> None:
    """Refuse an output that is one of the recipe's hierarchy files. Raises: ConflictError."""
    require_apart(
        (options.to, options.write_recipe, options.html), _paths(recipe, options).values()
    )


# ---- the work ----


def _anonymized(
    path: str, table: pa.Table, recipe: Recipe, options: AnonymizeOptions
) -> Assessment:
    with output.working("anonymizing", quiet=options.to is None) as tell:

        def watch(progress: Progress) -> bool:
            best = f"{progress.loss:.3f}" if progress.loss <= 1 else "none yet"
            tell(path, f"best {best}, bound {progress.bound:.3f}, tables", progress.checked)
            return True

        population = _other(options.population, options)
        outcome = anonymize(
            table, recipe, draw=os.urandom, files=_files(recipe, options),
            population=population, watch=watch,
        )  # fmt: skip
        people = options.people or (population.num_rows if population is not None else 0)
        return assessed(
            outcome, table, seed=SAMPLE_SEED, population=people,
            auxiliary=_other(options.auxiliary, options), model_target=options.target,
        )  # fmt: skip


def _other(path: Path | None, options: AnonymizeOptions) -> pa.Table | None:
    """A second table that was named, whole."""
    if path is None:
        return None
    for name, handle in _opened(str(path), options):
        return _whole(handle, name, options)[0]
    return None


def _large(path: str, options: AnonymizeOptions) -> int:
    """A table that may not fit into memory."""
    from strongroom.faces.cli.anonymize_large import run_large, sampled

    if path == STDIN or options.to is None:
        raise UsageError(
            "--large reads the file several times and writes a file", next_step="give --output"
        )
    if options.demands.asks_population:
        raise UsageError(
            "--large has no population, which k-map and δ-presence need",
            next_step="leave out --large, or ask for k alone",
        )
    told = options.population or options.people or options.auxiliary or options.target
    if told or options.html:
        raise UsageError("--large has no population, no auxiliary table, no model and no page")
    source, study, limits = Path(path), options.study, options.limits
    if options.recipe is not None:
        recipe = _recipe_file(options.recipe, options)
    else:
        recipe = _guided(sampled(source, study, limits), options)
    _require_apart_from_files(recipe, options)
    if options.explain:
        _explain(recipe, options)
        return 0
    plan, proof, rows = run_large(
        source, recipe, _files(recipe, options), study, limits, options.to, force=options.force
    )
    if options.write_recipe is not None:
        _write_recipe(recipe, options)
    found = plan.found
    if options.as_json:
        shown = {"rows": rows, "suppressed": plan.suppressed, "groups": proof.groups,
                 "smallest": proof.smallest, "measured": dict(proof.measured), "loss": found.loss,
                 "bound": found.bound, "is_optimal": found.is_optimal}  # fmt: skip
        output.data(shown, as_json=True)
        return 0
    output.words(
        f"{proof.rows:,} of {rows:,} rows in {proof.groups:,} groups of at least {proof.smallest}; "
        f"{plan.suppressed:,} rows suppressed; counted again and right"
    )
    for line in (*promises(recipe, proof), *plan.notes):
        output.words(output.clean(line))
    output.words(f"loss {found.loss:.3f}; no table loses less than {found.bound:.3f}")
    return 0


# ---- out ----


def _explain(recipe: Recipe, options: AnonymizeOptions) -> None:
    """Show what would be done; write the recipe where one is asked for, and no table."""
    if options.write_recipe is not None:
        _write_recipe(recipe, options)
    sys.stdout.write(recipe_text(recipe))


def _write(assessment: Assessment, name: str, form: Form, options: AnonymizeOptions) -> None:
    """The table, then the page, the recipe and the words about it."""
    written = assessment.outcome.table
    out = masked_files.out_form(form, options.to)
    if out in masked_files.TEXTS:
        out = Form.CSV
    pieces = masked_files.table_bytes(written.to_batches(), written.schema, out)
    if options.to is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    else:
        with draft(options.to, force=options.force) as file:
            for piece in pieces:
                file.write(piece)
    if options.write_recipe is not None:
        _write_recipe(assessment.outcome.recipe, options)
    if options.html is not None:
        _write_page(assessment, name, options.html, force=options.force)
    if options.as_json and options.to is not None:
        output.data(document(assessment), as_json=True)
        return
    for line in choices(assessment):
        output.words(output.clean(f"  {line}"))
    if is_crowded(assessment.outcome.recipe):
        output.words(
            f"  more than {MANY_QUASI} quasi-identifiers: drop or keep some, and more of the "
            "others is left"
        )
    for line in summary(assessment):
        output.words(output.clean(line))


def _write_recipe(recipe: Recipe, options: AnonymizeOptions) -> None:
    assert options.write_recipe is not None  # noqa: S101 # asked before
    with draft(options.write_recipe, force=options.force) as file:
        file.write(recipe_text(recipe).encode())


def _write_page(assessment: Assessment, name: str, to: Path, *, force: bool) -> None:
    from strongroom.engines.privacy.anonymize.page import page

    made = f"Made on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by strongroom {version('strongroom')}."
    with draft(to, force=force) as file:
        file.write(page(assessment, title=name, made=made).encode())
    output.words(f"report: {output.clean(str(to))}")
