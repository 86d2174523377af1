"""`strongroom harden`: a model trained anew in other ways, each weighed against what it was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.crypto.model_signature import WHOLE_FILE, Serialization
from strongroom.engines.privacy.dp.training.domain import MAX_CHARACTERS, Domain, parse_domain
from strongroom.engines.privacy.dp.training.drafting import drafted
from strongroom.engines.privacy.dp.training.running import Origin, Wish, price
from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.fingerprint import rows_digest
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.hardening.advice import warnings
from strongroom.engines.robustness.hardening.page import hardening_page
from strongroom.engines.robustness.hardening.ways import Options, Way
from strongroom.engines.robustness.hardening.weighing import (
    Weighed,
    changes,
    turns,
    weighed_json,
)
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import UsageError, ValidationError
from strongroom.faces.cli import harden_shown, output
from strongroom.faces.cli.attack import EXIT_CODES, AttackOptions, plan_of
from strongroom.faces.cli.attack_inputs import Inputs, inputs_of
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.kept_assessment import assessed
from strongroom.faces.cli.model_folder import find
from strongroom.faces.cli.quarantine_file import read_list
from strongroom.faces.cli.study import StudyOptions, small_text
from strongroom.faces.cli.training import whole_table
from strongroom.services.jobs import sandbox
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.hardening import (
    HardenedModel,
    Order,
    cost_of,
    hardened,
    ran_already,
    subject_after,
)
from strongroom.services.models.subjects import AssessedModel, confined

ALL = "all"
OWN = "own"
RECORD_NAME, ANSWERS_NAME = "hardening.json", "answers.json"
VERSION = 1
_AS_IT_WAS, _CONTROL = "as it was", "control"


@dataclass(frozen=True, slots=True)
class HardenOptions:
    """What was asked for.

    Attributes:
        data: rows that the model was trained on, and is trained on anew.
        held_out: rows that it never saw.
        ways: names, or `all`.
        recipe: `own`, a reference's name, or empty: own where the model states it.
        without: a quarantine list.
        form: of answers, for rounding.
        has_control: the recipe is also fitted anew with nothing changed.
        epsilon: for training with privacy; None: none is promised.
        to: folder; each way gets one in it.
        keep: file of what is done, to go on after a break; each new model has one beside it.
        memory_bytes: of each sandbox.
    """

    study: StudyOptions
    data: str
    held_out: str
    ways: tuple[str, ...]
    to: Path
    attack: AttackOptions
    recipe: str = ""
    without: Path | None = None
    how: Options = field(default_factory=Options)
    form: OutputForm = field(default_factory=lambda: OutputForm(decimals=1))
    has_control: bool = True
    epsilon: float | None = None
    delta: float = 1e-6
    domain: Path | None = None
    domain_from_data: bool = False
    subject: str = ""
    html: Path | None = None
    report: Path | None = None
    keep: Path | None = None
    memory_bytes: int = 4 << 30
    force: bool = False
    as_json: bool = False


def run_harden(model: str, options: HardenOptions) -> int:
    """Harden, weigh, show, and give the exit code of the best way's verdict."""
    ways = _ways(options)
    _require_usable(model, options, ways)
    plan = plan_of(options.attack)
    running.chosen_tests(plan, tests())
    with ending_cleanly():
        trained = whole_table(options.data, options.study)
        held_out = whole_table(options.held_out, options.study)
        if unknown := sorted(set(options.how.dropped) - set(trained.column_names)):
            raise ValidationError(f"there is no feature `{unknown[0][:100]}`")
        kept, left_out = trained, 0
        if options.without is not None:
            removed = read_list(options.without, trained)
            kept, left_out = trained.filter(pa.array(~removed)), int(removed.sum())
        private = _private(kept, plan, options) if Way.PRIVATE in ways else None
        run = _Run(model, plan, trained, kept, held_out, options, private)
        weighed = run.weighed(ways)
    made = f"Made by strongroom {version('strongroom')} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    shown = {
        "version": VERSION, "model": Path(model).resolve().name, "seed": plan.seed,
        "plan": {"digest": plan.digest, "text": plan.text}, "left_out": left_out,
        "before": document.report_json(run.before), "ways": weighed_json(weighed), "made": made,
        "could_not": run.could_not,
    }  # fmt: skip
    if options.html is not None:
        page = hardening_page(
            weighed, plan, model=Path(model).resolve().name, left_out=left_out, made=made,
            remarks=run.before.remarks,
        )  # fmt: skip
        _write(options.html, page.encode(), options)
    if options.report is not None:
        _write(options.report, json.dumps(shown, indent=1, ensure_ascii=False).encode(), options)
    if options.as_json:
        output.data(shown, as_json=True)
    else:
        for remark in run.before.remarks:
            output.words(remark)
        harden_shown.show(weighed, run.could_not, options.to)
    run.forget()
    verdicts = {one.verdict for one in weighed}
    best = next((one for one in (Verdict.PASSED, Verdict.FAILED) if one in verdicts), None)
    return EXIT_CODES[best or Verdict.INVALID]


# ---- what was asked ----


def _ways(options: HardenOptions) -> tuple[Way, ...]:
    known = [one.value for one in Way]
    if ALL in options.ways:
        return tuple(one for one in Way if one is not Way.PRIVATE or options.epsilon is not None)
    if unknown := [one for one in options.ways if one not in known]:
        raise UsageError(
            f"there is no way `{unknown[0][:100]}`",
            next_step=f"the ways are {', '.join(known)}, and {ALL}",
        )
    chosen = tuple(dict.fromkeys(Way(one) for one in options.ways))
    if not chosen and options.without is not None:
        return (Way.RETRAINED,)
    if not chosen:
        raise UsageError("which way?", next_step=f"give --way, one of {', '.join(known)}, or {ALL}")
    return chosen


def _require_usable(model: str, options: HardenOptions, ways: tuple[Way, ...]) -> None:
    if model.startswith(("https://", "http://")):
        raise UsageError(
            "a model behind an address cannot be trained anew", next_step="give its file or folder"
        )
    if not options.data or not options.held_out:
        raise UsageError("give --data, rows it was trained on, and --held-out, rows it never saw")
    if Way.PRIVATE in ways:
        if options.epsilon is None:
            raise UsageError("training with privacy takes --epsilon")
        if (options.domain is None) != options.domain_from_data:
            raise UsageError(
                "bounds and categories must come from somewhere",
                next_step="give --domain FILE (drafted by `strongroom train --draft-domain`), or "
                "--domain-from-data",
            )
    folders = [options.to / way.value for way in ways]
    names = (RECORD_NAME, ANSWERS_NAME, "model.onnx", "MLmodel", "recipe.json",
             "model.additive.json", "privacy.json")  # fmt: skip
    for folder in folders:
        for name in names:
            require_free(folder / name, force=options.force)
    for to in (options.html, options.report):
        if to is not None:
            require_free(to, force=options.force)
    read = [Path(one) for one in (options.data, options.held_out) if one != "-"]
    require_apart(
        (options.html, options.report, options.keep), [*read, options.without, Path(model)]
    )


def _private(table: pa.Table, plan: Plan, options: HardenOptions) -> tuple[Domain, Wish]:
    """The domain and the promise of training with privacy; wrong ones are found before all else."""
    assert options.epsilon is not None  # noqa: S101 # `_require_usable`
    origin = Origin.READ_OFF if options.domain_from_data else Origin.DECLARED
    wish = Wish(options.epsilon, options.delta, subject=options.subject, origin=origin)
    price(wish)
    if options.domain is not None:
        return parse_domain(small_text(options.domain, MAX_CHARACTERS)), wish
    roles = plan.columns
    others = {*roles.left_out, roles.source, roles.pseudonym} & set(table.column_names)
    bare = table.drop_columns(sorted(others - {options.subject}))
    return drafted(bare, roles.label, options.subject).domain, wish


# ---- the work ----


class _Run:
    """One model, its ways, one plan.

    Attributes:
        before: the assessment of the model as it was.
        could_not: way → why it came to nothing.
    """

    before: Report

    def __init__(
        self, model: str, plan: Plan, trained: pa.Table, kept: pa.Table, held_out: pa.Table,
        options: HardenOptions, private: tuple[Domain, Wish] | None,
    ) -> None:  # fmt: skip
        self._model = model
        self._plan = plan
        self._trained, self._kept, self._held_out = trained, kept, held_out
        self._options = options
        self._private = private
        self._limits = sandbox.Limits(memory_bytes=options.memory_bytes, wall_seconds=3_600.0)
        self.could_not: dict[str, str] = {}
        self._control: Report | None = None
        self._kept_files: list[Path] = []

    def weighed(self, ways: tuple[Way, ...]) -> list[Weighed]:
        """Each way against the model as it was; one that cannot be gone, alone, is an error."""
        folder = find(Path(self._model), Serialization())
        files = {
            (one.place.name if one.path == WHOLE_FILE else one.path): one.place
            for one in folder.files
        }
        with confined(files, limits=self._limits) as old:
            before = subject_of(self._plan, self._trained, self._held_out, old)
            self.before = self._assess(before, {}, _AS_IT_WAS)
            return [*self._controlled(ways, before, old), *self._each(ways, before, old)]

    def _controlled(
        self, ways: tuple[Way, ...], before: Subject, old: AssessedModel
    ) -> list[Weighed]:
        """The control, where something needs one and it can be had."""
        needed = set(ways) - {Way.ROUNDING}
        if self._kept is self._trained:
            needed -= {Way.RETRAINED}  # that is the same
        if not needed or not self._options.has_control:
            return []
        try:
            made, self._control = self._weigh(
                self._order(Way.RETRAINED, before, old), self._trained, before, is_control=True
            )
        except ValidationError as error:
            self.could_not["control"] = error.message
            return []
        return [made]

    def _each(self, ways: tuple[Way, ...], before: Subject, old: AssessedModel) -> list[Weighed]:
        found = []
        for way in ways:
            try:
                order = self._order(way, before, old)
                found.append(self._weigh(order, self._kept, before)[0])
            except ValidationError as error:
                if len(ways) == 1:
                    raise
                self.could_not[way.value] = error.message
        return found

    def _weigh(
        self, order: Order, rows: pa.Table, before: Subject, *, is_control: bool = False
    ) -> tuple[Weighed, Report]:
        way = order.way
        form = order.form if way is Way.ROUNDING else None
        with self._hardened(order, rows) as made:
            after = subject_after(self._plan, rows, self._held_out, made, before, form)
            same_rows = rows is self._trained and set(after.space.places) == set(
                before.space.places
            )
            done = ran_already(self.before, same_rows=same_rows)
            report = self._assess(after, done, _CONTROL if is_control else way.value)
            spent = cost_of(before, after, report, made)
        control = None if way is Way.ROUNDING else report if is_control else self._control
        left_out = len(self._trained) - len(rows)
        weighed = Weighed(
            way, self.before.verdict, report.verdict, turns(self.before, report),
            changes(self.before, report, control), spent, made.says,
            warnings(way, self.before, left_out=left_out, form=form), form, is_control,
        )  # fmt: skip
        if not is_control:
            self._keep(made, report)
        return weighed, report

    @contextmanager
    def _hardened(self, order: Order, rows: pa.Table) -> Iterator[HardenedModel]:
        with output.working("training", quiet=False), hardened(
            order, rows, limits=self._limits
        ) as made:  # fmt: skip
            yield made

    def _order(self, way: Way, before: Subject, old: AssessedModel) -> Order:
        asked = self._options.recipe
        recipe = (old.stated() or "") if asked in {"", OWN} else asked
        if asked == OWN and not recipe:
            raise ValidationError(
                "the model does not say how it was fitted, or in a way that cannot be repeated",
                next_step="leave --recipe out, or take forest, boosting or logistic",
            )
        features = tuple(one.name for one in before.space.features)
        return Order(
            way, self._plan, features, before.classes, recipe, self._options.how, self._private,
            self._options.form,
        )  # fmt: skip

    def _assess(self, subject: Subject, done: dict[str, Ran], side: str) -> Report:
        kept_in = self._kept_in(side)
        with output.stages(f"attacking, {side}") as tell:
            inputs = partial(self._inputs, side)
            return assessed(subject, self._plan, kept_in, inputs, tell, done)

    def _kept_in(self, side: str) -> Path | None:
        """Where what is done of a side is kept; noise for privacy is drawn anew each time."""
        keep = self._options.keep
        if keep is None or side == Way.PRIVATE.value:
            return None
        place = keep if side == _AS_IT_WAS else keep.with_name(f"{keep.name}.{side}")
        self._kept_files.append(place)
        return place

    def _inputs(self, side: str) -> Inputs:
        """What a side is made of; of a new model, also what was asked for."""
        asked = self._options
        data = [rows_digest(one) for one in (self._trained, self._held_out)]
        settings: dict[str, object] = {
            "strongroom": version("strongroom"), "side": side, "rows": data,
        }  # fmt: skip
        if side != _AS_IT_WAS:
            how = {**asdict(asked.how), **asdict(asked.form), "recipe": asked.recipe}
            settings |= {"kept": rows_digest(self._kept), "how": how}
        return inputs_of(Path(self._model), "", {}, settings)

    def forget(self) -> None:
        """Remove what was kept to go on with."""
        for one in self._kept_files:
            one.unlink(missing_ok=True)

    def _keep(self, made: HardenedModel, report: Report) -> None:
        """Write what came of a way, as soon as it is known."""
        folder = self._options.to / made.way.value
        for name, content in made.files.items():
            _write(folder / name, content, self._options)
        if "answers" in made.record:
            answers = json.dumps(made.record["answers"], indent=1).encode()
            _write(folder / ANSWERS_NAME, answers, self._options)
        record: dict[str, Any] = {
            "version": VERSION, "way": made.way.value, "says": list(made.says),
            "parent": {"name": Path(self._model).resolve().name, "files": self._parent()},
            "plan": self._plan.digest, "seed": self._plan.seed,
            "data": rows_digest(self._trained),
            "left_out": len(self._trained) - len(self._kept),
            "held_out": rows_digest(self._held_out), "made": dict(made.record),
            "assessment": document.report_json(report),
        }  # fmt: skip
        content = json.dumps(document.plain(record), indent=1, ensure_ascii=False).encode()
        _write(folder / RECORD_NAME, content, self._options)

    def _parent(self) -> dict[str, str]:
        """Name of each file of the model as it was → its digest."""
        found = {}
        for one in find(Path(self._model), Serialization()).files:
            with one.place.open("rb") as file:
                digest = sha256()
                while piece := file.read(1 << 20):
                    digest.update(piece)
            name = one.place.name if one.path == WHOLE_FILE else one.path
            found[name] = f"sha256:{digest.hexdigest()}"
        return found


def _write(to: Path, content: bytes, options: HardenOptions) -> None:
    with draft(to, force=options.force) as file:
        file.write(content)
