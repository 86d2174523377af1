"""`strongroom drift`: what changed between two samples; without a server."""

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from strongroom.engines.drift.comparison import Roles, compare
from strongroom.engines.drift.document import report_json
from strongroom.engines.drift.findings import Report, Status, Thresholds
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.packing import Kept, thin_windows, to_bytes
from strongroom.engines.drift.plan import Plan
from strongroom.engines.drift.seasons import matched
from strongroom.engines.drift.state import State
from strongroom.engines.drift.windows import Every, phase_of, window_name
from strongroom.engines.drift.wording import some
from strongroom.errors import UsageError
from strongroom.faces.cli import drift_shown, output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.drift_changes import SeriesWatch
from strongroom.faces.cli.drift_columns import ModelColumns
from strongroom.faces.cli.drift_labels import LateLabels
from strongroom.faces.cli.drift_model import ModelWatch
from strongroom.faces.cli.drift_reading import (
    ReadingOptions,
    Sample,
    Watch,
    current_sample,
    reference_sample,
)
from strongroom.faces.cli.drift_rows import attributed, classified

FINDINGS_EXIT_CODE = 6
NEVER = "never"
_GRAVITY = (Status.DRIFTED, Status.MOVED)


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """What was asked for.

    Attributes:
        model: columns that the model made, and labels.
        left_out: columns that are not compared.
        classifier: learn to tell rows apart.
        attribution: compare which features matter to the prediction.
        detect: columns, or `error`, whose changes over time are looked for.
        labels: file with labels that came late; `id_`: the column of ids that it shares.
        fail_on: status from which a column ends the run with exit code 6, or `never`.
        save: where to write the state of the reference; `save_current`: of the other.
    """

    reading: ReadingOptions
    thresholds: Thresholds
    model: ModelColumns = field(default_factory=ModelColumns)
    left_out: tuple[str, ...] = ()
    classifier: bool = False
    attribution: bool = False
    detect: tuple[str, ...] = ()
    labels: Path | None = None
    id_: str = ""
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
    read = (reference, current, options.labels)
    require_apart((options.html, options.save, options.save_current), read)
    if current is None and options.save is None:
        raise UsageError("give the current sample too, or --save FILE for the reference alone")
    _require_sense(options)
    with ending_cleanly(), output.working("reading") as watch:
        watcher = ModelWatch(options.model)
        first = reference_sample(reference, options.reading, watch, watcher.reference)
        if first.is_saved:
            watcher.read_reference(first.model)
        if options.save is not None:
            _save(first, watcher.counted[0], options.save, force=options.force)
        if current is None:
            return 0
        report = _compared(first, current, options, watcher, watch)
    if options.html is not None:
        write_page(report, options.html, force=options.force)
    if options.as_json:
        output.data(report_json(report), as_json=True)
    else:
        drift_shown.show(report)
    return FINDINGS_EXIT_CODE if _fails(report, fails) else 0


def _fails(report: Report, fails: frozenset[Status]) -> bool:
    """Whether something has a status that ends the run with the exit code of findings."""
    found = {one.status for one in report.columns}
    if report.attribution is not None and report.attribution.drifted:
        found.add(Status.DRIFTED)
    if any(one.changes for one in report.series):
        found.add(Status.DRIFTED)
    return bool(found & fails)


def _compared(
    first: Sample, current: Path, options: DriftOptions, watcher: ModelWatch, watch: Watch
) -> Report:
    plan, reading, model = first.state.plan, options.reading, options.model
    _require_columns(plan, options)
    series = SeriesWatch(options.detect, reading.time, model)
    late = None
    if options.labels is not None:
        late = LateLabels(options.labels, options.id_, model.label, reading.study, watch)

    def each(batch: pa.RecordBatch) -> None:
        watcher.current(batch)
        series.current(batch)

    needs_rows = options.classifier or options.attribution or watcher.needs_rows
    second = current_sample(current, plan, reading, watch, each, rows=needs_rows,
                            fill=None if late is None else late.fill)  # fmt: skip
    if second.is_saved:
        watcher.read_current(second.model)
    if second.is_saved and (late is not None or options.detect):
        raise UsageError("--labels and --detect look at rows: give a table, not a state")
    if options.save_current is not None:
        _save(second, watcher.counted[1], options.save_current, force=options.force,
              with_plan=False)  # fmt: skip
    ids = (options.id_,) if options.id_ else ()
    roles = Roles(frozenset(model.names()), frozenset({*options.left_out, *ids}),
                  frozenset(model.truths()))  # fmt: skip
    no_features = roles.left_out | roles.predictions | roles.labels
    report, notes = _distributions(first, second, options, roles)
    tables = (first.rows, second.rows)
    report = replace(report, model=watcher.report(*tables, plan, model.names()),
                     series=series.found(options.thresholds.rate, plan.minimum_count))  # fmt: skip
    if options.classifier:
        auc, note = classified(tables, plan, no_features)
        report, notes = replace(report, classifier=auc), (*notes, note)
    if options.attribution:
        found, told = attributed(tables, plan, model.said, no_features,
                                 options.thresholds.attribution)  # fmt: skip
        report, notes = replace(report, attribution=found), (*notes, *told)
    remarks = report.remarks if late is None else (*report.remarks, *late.remarks())
    return replace(report, notes=notes, remarks=remarks)


def _distributions(
    first: Sample, second: Sample, options: DriftOptions, roles: Roles
) -> tuple[Report, tuple[str, ...]]:
    """The samples compared, with the season where that is asked for, and notes."""
    thresholds, windows = options.thresholds, second.named()
    notes = []
    if second.untimed is not None and second.untimed.rows:
        notes.append(f"{second.untimed.rows:,} rows without a time are in no window.")
    if options.reading.time and second.windows is None:
        notes.append("The state of the current sample keeps no windows.")
    if not options.reading.has_season:
        return compare(first.state, second.state, thresholds, roles, windows), tuple(notes)
    every = options.reading.every
    if first.windows is None or not first.by_phase or first.windows.every is not every:
        raise UsageError(
            "the reference was saved without a season, or with other windows",
            next_step="save it with --time, --every and --season as here, or give its table",
        )
    if second.windows is None or second.by_phase or second.windows.every is not every:
        raise UsageError("--season looks at times: give a table as the current sample")
    plan = first.state.plan
    before, now = dict(first.windows), dict[int, State]()
    for at, one in second.windows:
        now.setdefault(phase_of(at, every), State(plan)).merge(one)
    same = matched(before, now, plan, thresholds.minimum_rows)
    if not same.current.rows:
        raise UsageError(
            "no row has a time of which the reference has windows",
            next_step="give a reference over a longer time, or leave out --season",
        )
    alike = {
        window_name(at, every): before[phase_of(at, every)]
        for at, _ in second.windows
        if phase_of(at, every) in before and phase_of(at, every) not in same.missing
    }
    notes.append(
        f"With the season: {same.reference.rows:,} rows of the reference, as many of each "
        f"{_SEASON[every]} as the current sample has, in proportion."
    )
    if same.missing:
        unlike = [name for name in windows if name not in alike]
        notes.append(
            f"{same.left_out:,} rows were not compared: the reference has too few rows of windows "
            f"like {', '.join(unlike[:3])}{' and others' if len(unlike) > 3 else ''}."
        )
    found = compare(same.reference, same.current, thresholds, roles, windows, alike)
    return found, tuple(notes)


_SEASON = {
    Every.HOUR: "hour of the week", Every.DAY: "day of the week", Every.WEEK: "week of the year",
    Every.MONTH: "month of the year",
}  # fmt: skip


def _require_sense(options: DriftOptions) -> None:
    """Refuse options that lack another one."""
    model = options.model
    if options.reading.has_season and not options.reading.time:
        raise UsageError("--season needs --time: the column of times, in both samples")
    if options.labels is not None and not (options.id_ and model.label and model.is_given):
        raise UsageError(
            "--labels needs --id, --label, and --score, --class or --prediction",
            next_step="name the column of ids, and that of the labels",
        )
    if options.id_ and options.labels is None:
        raise UsageError("--id goes with --labels: the file with labels that came late")
    if options.detect and not options.reading.time:
        raise UsageError("--detect needs --time: the column that puts rows in order")
    if options.attribution and not model.said:
        raise UsageError("--attribution needs --score or --prediction: what features matter to")


def _require_columns(plan: Plan, options: DriftOptions) -> None:
    known = {column.name for column in plan.columns}
    truths = options.model.truths() if options.labels is None else ()
    asked = [*options.model.names(), *truths, *options.left_out]
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


def _save(
    sample: Sample, model: ModelState | None, to: Path, *, force: bool, with_plan: bool = True
) -> None:
    kept = Kept(sample.state, sample.windows, sample.by_phase, sample.untimed, model)
    with draft(to, force=force) as file:
        file.write(to_bytes(kept, with_plan=with_plan))
    output.words(f"state: {output.clean(str(to))}")
    thin = thin_windows(kept)
    if thin:
        output.words(
            f"note: too few rows to be kept apart, so that small counts stay out: "
            f"{some(thin, 'window')}; take longer ones, or --exact"
        )


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
