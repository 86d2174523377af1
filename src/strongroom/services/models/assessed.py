"""A model and the rows it is assessed on, brought together as a subject."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.assessment.table import (
    classes_of,
    features_of,
    sample_of,
    space_of,
)
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Rows, Scores, Target
from strongroom.errors import ValidationError
from strongroom.services.models.model_inside import Inside
from strongroom.services.models.replicated import replicated
from strongroom.services.models.subjects import About, AssessedModel

Answers = Callable[[Space, Sequence[str]], Predict]
"""How a model answers points of a space with these classes, none of them for a regression."""


MOST_SEEN = 0.5
"""Share of held-out rows that may stand among the training rows, where these hardly repeat."""
DISTINCT = 0.95
"""Share of the training rows that are unlike each other, from which on repeats are no chance."""


def same_rows() -> ValidationError:
    """For whoever gives the training rows as held-out rows: then no gate could fail."""
    return ValidationError(
        "the held-out rows are the training rows: the model has seen all of them, and no test of "
        "membership or accuracy could fail",
        next_step="name rows that the model was not trained on",
    )


def subject_of(
    plan: Plan,
    trained: pa.Table | None,
    held_out: pa.Table | None,
    model: AssessedModel | Answers | None,
    *,
    epsilon: float | None = None,
    delta: float = 0.0,
) -> Subject:
    """The subject of an assessment.

    Args:
        trained: rows that the model was trained on; None for unknown.
        held_out: rows that it never saw; None: there are none. One of both is needed.
        model: one that says what it is, or only how it answers; None: there is none yet, and rows
            whose label has fractions are those of a regression.
        epsilon, delta: of the differential privacy that it claims.
    Raises: ValidationError: rows and model do not fit, or the plan names what there is not.
    """
    tables = [one for one in (trained, held_out) if one is not None]
    about = model.about if isinstance(model, AssessedModel) else None
    roles = plan.columns
    features = features_of(tables[0], roles, about.features if about else ())
    if about and not about.features and about.count not in {0, len(features.names)}:
        raise ValidationError(
            f"the model takes {about.count} features, the rows have {len(features.names)} columns "
            "that could be some",
            next_step="name the label in the plan, and the columns that are left out",
        )
    if trained is not None and held_out is not None and trained.equals(held_out):
        raise same_rows()
    space = space_of(tables, features, plan)
    is_regression = about.is_regression if about else model is None and _has_fractions(tables, plan)
    classes = () if is_regression else _classes(tables, roles.label, about)
    count = len(classes) or 1
    predict: Predict
    recipe: Recipe | None = None
    inside = Inside()
    # Of a model elsewhere nobody says what it costs.
    clock: Callable[[], float] = time.process_time if model is None else time.perf_counter
    if isinstance(model, AssessedModel):
        predict, recipe = model.predict(space, count), model.recipe(space, count)
        clock = model.cpu_seconds
        inside = model.inside(space)
    else:
        predict = _nobody if model is None else model(space, classes)
    remarks = ["there is no model: only rows were looked at"] if model is None else []
    samples: list[Sample | None] = []
    every_row = None
    if trained is not None:
        every_row, _ = sample_of(trained, space, features, roles, classes, whole_only=False)
    for table in (trained, held_out):
        if table is None:
            samples.append(None)
            continue
        sample, told = sample_of(table, space, features, roles, classes)
        samples.append(sample)
        remarks += told
    remarks += _seen_before(every_row, samples[1])
    form = plan.answers
    if about and classes and not about.has_probabilities:
        form = replace(form, shows="labels")
        remarks.append("the model names a class and no probability: its answers are labels")
    answers = predict
    if isinstance(model, AssessedModel):
        tables_seen = [one.rows for one in samples if one is not None]
        answers, said = replicated(model.replica(space), space, predict, tables_seen, plan.seed)
        remarks += [said] if said else []
    if epsilon is not None:
        remarks.append(
            f"the model claims differential privacy of epsilon {epsilon:g} at delta {delta:g}, and "
            "each test of membership held it to that"
        )
    return Subject(
        Target(answers, classes=count, form=form), space, tuple(classes), samples[0], samples[1],
        predict, every_row, recipe=recipe, exact=inside.exact, gradient=inside.gradient,
        clock=clock, limits=plan.limits, epsilon=epsilon, delta=delta,
        remarks=tuple(dict.fromkeys(remarks)), has_model=model is not None,
    )  # fmt: skip


def _seen_before(trained: Sample | None, held_out: Sample | None) -> list[str]:
    """What to say of held-out rows that stand among the training rows, label and all.

    Raises: ValidationError: they are too many for chance.
    """
    if trained is None or held_out is None:
        return []
    known = set(_in_bytes(trained))
    count = sum(one in known for one in _in_bytes(held_out))
    if not count:
        return []
    # Tables of few coarse columns repeat rows honestly, within themselves too.
    if count > MOST_SEEN * len(held_out) and len(known) >= DISTINCT * len(trained):
        raise ValidationError(
            f"{count:,} of {len(held_out):,} held-out rows stand among the training rows, so no "
            "test of membership or accuracy could fail",
            next_step="name rows that the model was not trained on",
        )
    said = (
        f"{count:,} of {len(held_out):,} held-out rows stand among the training rows, too: there "
        "accuracy looks better than it is, and membership harder to tell"
    )
    return [said]


def _in_bytes(sample: Sample) -> Iterator[bytes]:
    labels = sample.labels if len(sample.labels) else sample.numbers
    return (row.tobytes() + label.tobytes() for row, label in zip(sample.rows, labels, strict=True))


def _nobody(_rows: Rows) -> Scores:
    raise ValidationError("there is no model to ask")


def _has_fractions(tables: Sequence[pa.Table], plan: Plan) -> bool:
    """Whether the label is a number that is not always whole."""
    found = [
        one.column(plan.columns.label) for one in tables if plan.columns.label in one.column_names
    ]
    return any(
        pa.types.is_floating(one.type) and bool(pc.any(pc.not_equal(pc.floor(one), one)).as_py())
        for one in found
    )


def _classes(tables: Sequence[pa.Table], label: str, about: About | None) -> tuple[str, ...]:
    """Names of the classes in the order of the model's answers."""
    if about is not None and about.classes:
        return about.classes
    if not label:
        raise ValidationError(
            "nobody says what is predicted, and of which classes",
            next_step="say which column holds it: --label, or `label` in the plan",
        )
    if missing := [one for one in tables if label not in one.column_names]:
        raise ValidationError(
            f"the rows have no column `{label[:100]}`",
            next_step=f"the columns are {', '.join(missing[0].column_names[:20])}",
        )
    return classes_of(tables, label)
