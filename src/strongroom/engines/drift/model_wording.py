"""How the model does, in words."""

import math
from collections.abc import Iterator

from strongroom.engines.drift.findings import ModelReport
from strongroom.engines.drift.multiclass import MulticlassReport
from strongroom.engines.drift.scores import Performance
from strongroom.engines.drift.wording import clean, number, percent

METRIC_TITLES = {
    "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "specificity": "specificity", "auc": "AUC", "brier": "Brier score", "log_loss": "log loss",
}  # fmt: skip
_SHOWN = ("accuracy", "precision", "recall", "f1", "auc")
_SURE_P = 0.01


def model_says(model: ModelReport | None) -> Iterator[str]:
    """Each thing that is known of the model, a sentence each."""
    if model is None:
        return
    for title, found in (("Reference", model.reference), ("Current", model.current)):
        if found is not None:
            yield f"{title}, measured on {found.rows:,.0f} labels: {_metrics(found)}."
    if model.estimate is not None:
        yield f"Current, expected without labels: {_expected(model)}."
        yield from (f"Do not rely on the estimate: {one}." for one in model.estimate.warnings)
    for title, measured in zip(("Reference", "Current"), model.errors, strict=True):
        if measured is not None:
            yield (
                f"{title}, measured on {measured.rows:,} labels: mean absolute error "
                f"{number(measured.mae)}, root mean squared error {number(measured.rmse)}, bias "
                f"{number(measured.bias)}."
            )
    if model.error_estimate is not None:
        found_error = model.error_estimate
        yield (
            f"Current, expected without labels: mean absolute error {number(found_error.mae)} ± "
            f"{number(2 * found_error.error)}, root mean squared error {number(found_error.rmse)}."
        )
        yield from (f"Do not rely on the estimate: {one}." for one in found_error.warnings)
    if model.classes is not None:
        yield from _classes_say(model.classes)
    for title, one in zip(("reference", "current sample"), model.reliability, strict=True):
        if one is not None and one.p_value < _SURE_P:
            yield (
                f"Scores of the {title} are off by {percent(one.error)} on average: they are not "
                "the chances that they seem."
            )
    worse = [one for one in model.slices if one.differs]
    for one_slice in worse[:5]:
        yield (
            f"Where {clean(one_slice.slice, 120)}: {METRIC_TITLES[one_slice.metric]} "
            f"{one_slice.inside:.3f}, elsewhere {one_slice.outside:.3f} ({one_slice.rows:,} rows)."
        )
    yield from (f"note: {clean(one, 400)}" for one in model.remarks)


def _classes_say(found: MulticlassReport) -> Iterator[str]:
    sides = zip(
        ("Reference", "Current"), found.labels, found.accuracy, found.macro_f1, strict=False
    )
    for title, labels, accuracy, f1 in sides:
        if labels:
            yield (
                f"{title}, measured on {labels:,} labels of {len(found.classes)} classes: accuracy "
                f"{accuracy:.3f}, macro F1 {f1:.3f}."
            )
    if not math.isnan(found.accuracy[2]):
        f1 = found.macro_f1[2]
        yield (
            f"Current, expected without labels: accuracy {found.accuracy[2]:.3f} ± "
            f"{2 * found.error:.3f}" + ("." if math.isnan(f1) else f", macro F1 {f1:.3f}.")
        )
        yield from (f"Do not rely on the estimate: {one}." for one in found.warnings)
    for one in found.fell[:5]:
        yield (
            f"Class `{clean(one.name)}`: {one.metric} fell from {one.reference:.3f} to "
            f"{one.current:.3f}."
        )


def _metrics(found: Performance) -> str:
    return ", ".join(
        f"{METRIC_TITLES[name]} {getattr(found, name):.3f}"
        for name in _SHOWN
        if not math.isnan(getattr(found, name))
    )


def _expected(model: ModelReport) -> str:
    estimate = model.estimate
    if estimate is None:
        return ""
    parts = []
    for name in _SHOWN:
        value, error = getattr(estimate.performance, name), estimate.errors.get(name, math.nan)
        if not math.isnan(value):
            around = f" ± {2 * error:.3f}" if math.isfinite(error) else ""
            parts.append(f"{METRIC_TITLES[name]} {value:.3f}{around}")
    return ", ".join(parts)
