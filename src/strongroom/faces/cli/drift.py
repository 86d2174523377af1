"""`strongroom drift`: what changed between two samples; without a server."""

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from strongroom.engines.drift.classifier import LEAST_ROWS, domain_classifier
from strongroom.engines.drift.comparison import Roles, compare
from strongroom.engines.drift.document import report_json
from strongroom.engines.drift.findings import Report, Status, Thresholds
from strongroom.engines.drift.matrices import comparable, matrix
from strongroom.engines.drift.packing import to_bytes
from strongroom.engines.drift.plan import Plan
from strongroom.errors import UsageError
from strongroom.faces.cli import drift_shown, output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.drift_model import ModelColumns, ModelWatch
from strongroom.faces.cli.drift_reading import (
    ReadingOptions,
    Sample,
    Watch,
    current_sample,
    reference_sample,
)

FINDINGS_EXIT_CODE = 6
NEVER = "never"
_GRAVITY = (Status.DRIFTED, Status.MOVED)
_CLASSIFIED_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """What was asked for.

    Attributes:
        model: columns that the model made, and labels.
        left_out: columns that are not compared.
        classifier: learn to tell rows apart.
        fail_on: status from which a column ends the run with exit code 6, or `never`.
        save: where to write the state of the reference; `save_current`: of the other.
    """

    reading: ReadingOptions
    thresholds: Thresholds
    model: ModelColumns = field(default_factory=ModelColumns)
    left_out: tuple[str, ...] = ()
    classifier: bool = False
    fail_on: str = NEVER
    html: Path | None = None
    save: Path | None = None
    save_current: Path | None = None
    force: bool = False
    as_json: bool = False


def run_drift(reference: Path, current: Path | None, options: DriftOptions) -> int:
    """Compare, show, and give the exit code: 6 from the status asked for on, else 0."""
    fails = _failing(options.fail_on)
    for to in (options.html, options.save, options.save_current):
        if to is not None:
            require_free(to, force=options.force)
    require_apart((options.html, options.save, options.save_current), (reference, current))
    if current is None and options.save is None:
        raise UsageError("give the current sample too, or --save FILE for the reference alone")
    with ending_cleanly(), output.working("reading") as watch:
        watcher = ModelWatch(options.model)
        first = reference_sample(reference, options.reading, watch, watcher.reference)
        if options.save is not None:
            _save(first, options.save, force=options.force)
        if current is None:
            return 0
        report = _compared(first, current, options, watcher, watch)
    if options.html is not None:
        write_page(report, options.html, force=options.force)
    if options.as_json:
        output.data(report_json(report), as_json=True)
    else:
        drift_shown.show(report)
    return FINDINGS_EXIT_CODE if any(one.status in fails for one in report.columns) else 0


def _compared(
    first: Sample, current: Path, options: DriftOptions, watcher: ModelWatch, watch: Watch
) -> Report:
    plan = first.state.plan
    _require_columns(plan, options)
    needs_rows = options.classifier or watcher.needs_rows
    second = current_sample(current, plan, options.reading, watch, watcher.current, rows=needs_rows)
    if options.save_current is not None:
        _save(second, options.save_current, force=options.force, with_plan=False)
    made = options.model.names()
    roles = Roles(frozenset(made), frozenset({*options.left_out, *options.model.truths()}))
    report = compare(first.state, second.state, options.thresholds, roles, second.windows)
    model = watcher.report(first.rows, second.rows, plan, made)
    classified = None
    notes: list[str] = []
    if options.classifier:
        classified, note = _classified(first.rows, second.rows, plan, roles)
        notes.append(note)
    return replace(report, model=model, classifier=classified, notes=tuple(notes))


def _classified(
    first: pa.Table | None, second: pa.Table | None, plan: Plan, roles: Roles
) -> tuple[float | None, str]:
    """The area under the curve of a domain classifier, and what it says."""
    names = tuple(
        name for name in comparable(plan) if name not in roles.left_out | roles.predictions
    )
    if first is None or second is None:
        return None, "The domain classifier needs rows: give tables, not states."
    if min(first.num_rows, second.num_rows) < LEAST_ROWS or not names:
        return None, f"The domain classifier needs {LEAST_ROWS} rows of each sample."
    parts = [matrix(one.slice(0, _CLASSIFIED_ROWS), plan, names) for one in (first, second)]
    found = domain_classifier(parts[0], parts[1], names)
    told = ", ".join(f"`{output.clean(name)}`" for name, drop in found.importances[:3] if drop > 0)
    says = f"A classifier tells rows of the samples apart with AUC {found.auc:.3f}"
    return found.auc, says + (f", mostly by {told}." if told and found.auc > 0.55 else ".")


def _require_columns(plan: Plan, options: DriftOptions) -> None:
    known = {column.name for column in plan.columns}
    asked = [*options.model.names(), *options.model.truths(), *options.left_out]
    if unknown := [name for name in asked if name not in known]:
        raise UsageError(
            f"the reference has no column `{unknown[0]}`", next_step="check the name of the column"
        )


def _failing(fail_on: str) -> frozenset[Status]:
    if fail_on == NEVER:
        return frozenset()
    names = [status.value for status in _GRAVITY]
    if fail_on not in names:
        raise UsageError(f"--fail-on is one of {', '.join(names)}, {NEVER}")
    return frozenset(_GRAVITY[: names.index(fail_on) + 1])


def _save(sample: Sample, to: Path, *, force: bool, with_plan: bool = True) -> None:
    with draft(to, force=force) as file:
        file.write(to_bytes(sample.state, with_plan=with_plan))
    output.words(f"state: {output.clean(str(to))}")


def write_page(report: Report, to: Path, *, force: bool) -> None:
    """The page with pictures."""
    from strongroom.engines.drift.page import report_page

    made = f"Made on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by strongroom {version('strongroom')}."
    with draft(to, force=force) as file:
        file.write(report_page(report, made=made).encode())
    output.words(f"report: {output.clean(str(to))}")


def parsed_thresholds(given: list[str], rate: float) -> Thresholds:
    """Thresholds as `name=value`. Raises: UsageError."""
    known = {one.name: one.type for one in fields(Thresholds)}
    changed: dict[str, float] = {"rate": rate}
    for text in given:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            raise UsageError(f"--threshold does not know `{name}`: there are {', '.join(known)}")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e9:
            raise UsageError(f"--threshold {name}= takes a number from 0 on")
        changed[name] = number
    minimum = int(changed.pop("minimum_rows", Thresholds().minimum_rows))
    return replace(Thresholds(), minimum_rows=minimum, **changed)
