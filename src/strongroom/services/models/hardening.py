"""A model, hardened: fitted anew in a sandbox without its code, then assessed as it was.

Where two engines meet, the private trainers and the attacks, this room joins them.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp.training.domain import Domain
from strongroom.engines.privacy.dp.training.running import MODEL_NAME, RECORD_NAME, Method, Wish
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Ran, Report
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.hardening.stating import REFERENCES, Stated
from strongroom.engines.robustness.hardening.ways import FITTED, Options, Way
from strongroom.engines.robustness.hardening.weighing import Answers, Cost, cost, queries_of
from strongroom.engines.robustness.target import Labels, OutputForm, Scores
from strongroom.errors import SandboxError, TooLargeError, ValidationError
from strongroom.services.jobs import sandbox
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.between_sandboxes import pour, require_done
from strongroom.services.models.confined_hardening import MLMODEL_NAME, ONNX_NAME
from strongroom.services.models.confined_recipe import RECIPE_NAME
from strongroom.services.models.subjects import AssessedModel, confined

MAX_MODEL_BYTES = 64 << 20
_HARDENING = "strongroom.services.models.confined_hardening:start"
_TRAINING = "strongroom.services.models.confined_training:start"
_MOST_SAID = 50

SAME_ON_SAME_ROWS = (
    "poisoning.labels", "poisoning.backdoor", "poisoning.sources", "poisoning.duplicates",
    "poisoning.outliers",
)  # fmt: skip
"""Tests that look at rows alone: on the same rows, by the same seed, they end the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """A way, and what it takes.

    Attributes:
        recipe: as the model states it, or the name of a reference; empty: the reference that
            answers left-out rows best.
        features, classes: of the model, as it says them.
        private: of `Way.PRIVATE`, the domain and what is promised.
        form: of `Way.ROUNDING`.
    """

    way: Way
    plan: Plan
    features: tuple[str, ...]
    classes: tuple[str, ...]
    recipe: Stated | str = ""
    options: Options = field(default_factory=Options)
    private: tuple[Domain, Wish] | None = None
    form: OutputForm | None = None

    def __post_init__(self) -> None:
        if self.way in FITTED and len(self.classes) < 2:
            raise ValidationError(
                "only models that answer with classes are fitted anew",
                next_step="round the answers of a regression, or train it with privacy",
            )
        if isinstance(self.recipe, str) and self.recipe not in {"", *REFERENCES}:
            known = ", ".join(REFERENCES)
            raise ValidationError(f"the reference recipes are {known}")

    def argument(self) -> dict[str, Any]:
        """What the sandbox is told."""
        recipe = self.recipe if isinstance(self.recipe, str) else self.recipe.document()
        return {
            "plan": self.plan.text, "way": self.way.value, "recipe": recipe,
            "options": msgspec.to_builtins(self.options), "features": list(self.features),
            "classes": list(self.classes), "seed": self.plan.seed % (1 << 32),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class HardenedModel:
    """What came of a way.

    Attributes:
        model: to be assessed; None: the model stays, its answers take another form.
        files: as they may be kept: no pickle among them.
        says: what was done; sentences.
        record: the same for programs; plain JSON.
        epsilon, delta: that it claims; None: it claims none.
        seconds: processor time of fitting.
    """

    way: Way
    model: AssessedModel | None
    files: Mapping[str, bytes]
    says: tuple[str, ...]
    record: Mapping[str, Any]
    epsilon: float | None = None
    delta: float = 0.0
    seconds: float = 0.0


@contextmanager
def hardened(
    order: Order, table: pa.Table, *, limits: sandbox.Limits,
    required: Collection[str] = sandbox.DEFAULT_REQUIRED,
) -> Iterator[HardenedModel]:  # fmt: skip
    """The hardened model, until the block ends.

    Args:
        table: rows to train on.

    Raises:
        ValidationError: the way cannot be gone with these rows, or its model not leave the sandbox.
        SandboxError: the sandbox broke.
    """
    if order.way is Way.ROUNDING:
        yield _rounded(order)
        return
    if order.way is Way.PRIVATE:
        found = _privately_trained(order, table, limits, required)
        with confined(
            {name: content for name, content in found.files.items() if name != RECORD_NAME},
            limits=limits, required=required,
        ) as model:  # fmt: skip
            yield replace(found, model=model)
        return
    worker = sandbox.Worker(_HARDENING, order.argument(), limits=limits, required=required)
    try:
        yield fitted(order, worker, table)
    finally:
        worker.stop()


def _rounded(order: Order) -> HardenedModel:
    form = order.form
    if form is None:
        raise ValidationError("rounding takes a form of answers: decimals, or labels alone")
    told = form_in_words(form)
    says = [f"The model stays; its answers are {told}."]
    if order.classes:
        says.append("The likeliest class stays the first.")
    record = {"answers": msgspec.to_builtins(form)}
    return HardenedModel(order.way, None, {}, tuple(says), record)


def form_in_words(form: OutputForm) -> str:
    """A form of answers, for people."""
    if form.shows == "labels":
        return "labels alone"
    parts = [] if form.top is None else [f"the {form.top} largest probabilities"]
    parts += [] if form.decimals is None else [f"rounded to {form.decimals} decimals"]
    return ", ".join(parts) or "whole"


def fitted(order: Order, worker: sandbox.Worker, table: pa.Table) -> HardenedModel:
    """The model that a sandbox of `confined_hardening` fits; it answers as long as that runs."""
    pour(worker, table)
    answer = _asked(worker, "harden")
    says, details = answer.get("says"), answer.get("details")
    if not isinstance(says, list) or not isinstance(details, dict):
        raise SandboxError("the hardening answered out of shape")
    files = _files(worker, answer, {ONNX_NAME, MLMODEL_NAME, RECIPE_NAME})
    record = {
        name: answer.get(name)
        for name in ("recipe", "is_own", "features", "details", "rows", "points", "difference")
    }
    told = tuple(str(one)[:1_000] for one in says[:_MOST_SAID])
    model = AssessedModel(worker.request)
    return HardenedModel(
        order.way, model, files, told, record, seconds=float(str(answer.get("seconds", 0)))
    )


def _privately_trained(
    order: Order, table: pa.Table, limits: sandbox.Limits, required: Collection[str]
) -> HardenedModel:
    if order.private is None:
        raise ValidationError("training with privacy takes a domain and an epsilon")
    domain, wish = order.private
    if wish.method is not Method.ADDITIVE:
        raise ValidationError("hardening trains additive models with privacy, no others")
    argument = {
        "domain": domain.document(), "epsilon": wish.epsilon, "delta": wish.delta,
        "method": wish.method.value, "subject": wish.subject, "rows_each": wish.rows_each,
        "origin": wish.origin.value,
    }  # fmt: skip
    worker = sandbox.Worker(_TRAINING, argument, limits=limits, required=required)
    try:
        pour(worker, table)
        files = _files(worker, _asked(worker, "train"), {MODEL_NAME, RECORD_NAME})
    finally:
        worker.stop()
    record = json.loads(files[RECORD_NAME])
    says = (
        (
            f"An additive model, trained with epsilon {wish.epsilon:g} at delta {wish.delta:g} "
            f"for {record['unit']}. It is of another kind than the model was."
        ),
        f"Bounds and categories: {wish.origin.value}.",
    )
    return HardenedModel(
        order.way, None, files, says, {"privacy": record}, wish.epsilon, wish.delta
    )


def _asked(worker: sandbox.Worker, what: str) -> Mapping[str, Any]:
    answer, _ = worker.request({"do": what})
    require_done(answer, "docs/robustness-hardening.md")
    return answer


def _files(worker: sandbox.Worker, answer: Mapping[str, Any], wanted: set[str]) -> dict[str, bytes]:
    """The files that the sandbox offers; exactly those that are wanted, none too large."""
    if set(map(str, answer.get("files", ()))) != wanted:
        raise SandboxError("the sandbox gave other files than a model's")
    found = {name: worker.request({"do": "file", "name": name})[1] for name in sorted(wanted)}
    if sum(map(len, found.values())) > MAX_MODEL_BYTES:
        raise TooLargeError(
            f"the new model has more than {MAX_MODEL_BYTES:,} bytes",
            next_step="take a recipe of fewer or smaller trees",
        )
    return found


# ---- before and after ----


def subject_after(
    plan: Plan, trained: pa.Table, held_out: pa.Table | None, made: HardenedModel,
    before: Subject, form: OutputForm | None,
) -> Subject:  # fmt: skip
    """The hardened model under the same plan.

    Args:
        form: of answers, where they take another.
    """
    if made.model is None:
        assert form is not None  # noqa: S101 # rounding has one
        return replace(before, target=before.target.again(form=form), shared={})
    taken = set(made.model.about.features)
    fits = replace(
        plan,
        features={name: rule for name, rule in plan.features.items() if name in taken},
        relations=tuple(one for one in plan.relations if set(one.factors) <= taken),
    )
    return subject_of(fits, trained, held_out, made.model, epsilon=made.epsilon, delta=made.delta)


def ran_already(before: Report, *, same_rows: bool) -> dict[str, Ran]:
    """Tests that need not run again: they look at the rows alone, and these are the same."""
    if not same_rows:
        return {}
    return {one.test: one for one in before.ran if one.test in SAME_ON_SAME_ROWS}


def cost_of(before: Subject, after: Subject, report: Report, made: HardenedModel) -> Cost:
    """What the new model costs, on held-out rows that both can be asked about."""
    spent: dict[str, Any] = {
        "epsilon": made.epsilon, "delta": made.delta if made.epsilon is not None else None,
        "queries": queries_of(report), "seconds": made.seconds,
    }  # fmt: skip
    nothing = np.zeros((0, len(before.classes) or 1))
    sides = [before.held_out, after.held_out]
    if None in sides or len(before.classes) < 2 or not all(len(one.labels) for one in sides if one):
        return cost(Answers(nothing), Answers(nothing), np.zeros(0, dtype=np.int64), **spent)
    first, second = (one for one in sides if one is not None)
    _, here, there = np.intersect1d(first.places, second.places, return_indices=True)
    scores = after.predict(second.rows[there])
    answers = [
        Answers(before.predict(first.rows[here]), before.target.form),
        Answers(_reordered(scores, after.classes, before.classes), after.target.form),
    ]
    labels: Labels = first.labels[here]
    return cost(answers[0], answers[1], labels, **spent)


def _reordered(scores: Scores, own: Sequence[str], wanted: Sequence[str]) -> Scores:
    """Scores in another order of classes; one that the model does not know gets 0."""
    places = {name.removesuffix(".0"): place for place, name in enumerate(own)}
    made = np.zeros((len(scores), len(wanted)))
    for place, name in enumerate(wanted):
        if (at := places.get(name.removesuffix(".0"))) is not None:
            made[:, place] = scores[:, at]
    return made
