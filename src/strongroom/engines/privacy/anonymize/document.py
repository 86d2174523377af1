"""An assessment as JSON, and in words: counts, shares and names of columns, never a value."""

from dataclasses import asdict
from typing import Any

from strongroom.engines.privacy.anonymize.assessing import Assessment, missing_cells
from strongroom.engines.privacy.anonymize.promises import promises
from strongroom.engines.privacy.anonymize.recipe import ColumnRole, Recoding

VERSION = 1
_ALL_LOST = 1 - 1e-9


def document(assessment: Assessment) -> dict[str, Any]:
    """The assessment as JSON; `version` grows when a field changes its meaning."""
    outcome = assessment.outcome
    recipe, found = outcome.recipe, outcome.found
    levels = None
    if found is not None and found.node is not None:
        levels = {
            name: {"level": level, "of": tree.height}
            for name, level, tree in zip(
                outcome.coded.names, found.node, outcome.coded.hierarchies, strict=True
            )
        }
    return {
        "version": VERSION,
        "demands": _plain(asdict(recipe.demands)),
        "method": _plain(asdict(recipe.method)),
        "columns": {
            name: {"role": column.role.value, "hierarchy": column.hierarchy.value,
                   "weight": column.weight, "reason": column.reason}
            for name, column in recipe.columns.items()
        },
        "search": None if found is None else {
            "is_optimal": found.is_optimal, "loss": found.loss, "bound": found.bound,
            "checked": found.checked, "lattice": found.size, "levels": levels,
        },
        "verified": _plain(asdict(outcome.proof)),
        "rows": outcome.coded.rows,
        "suppressed": outcome.suppressed,
        "risk": {"before": asdict(assessment.before), "after": asdict(assessment.after)},
        "population": {
            "before": _optional(assessment.before_population),
            "after": _optional(assessment.after_population),
        },
        "linkage_attack": {
            "before": _plain(asdict(assessment.before_attack)),
            "after": _plain(asdict(assessment.after_attack)),
        },
        "utility": _plain(asdict(assessment.utility)),
        "local_recoding": _optional(assessment.local),
        "models": [asdict(one) for one in assessment.models],
        "missing": missing_cells(outcome.coded),
        "remarks": list(outcome.remarks),
    }  # fmt: skip


def _optional(part: Any) -> Any:  # noqa: ANN401 # a dataclass
    return None if part is None else _plain(asdict(part))


def _plain(value: Any) -> Any:  # noqa: ANN401 # JSON
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.value if hasattr(value, "value") else value


def choices(assessment: Assessment) -> list[str]:
    """Why each column is what it is, a line each."""
    lines = []
    outcome = assessment.outcome
    for name, column in outcome.recipe.columns.items():
        tree = ""
        if column.role in (ColumnRole.QUASI, ColumnRole.SENSITIVE):
            tree = f", hierarchy {column.hierarchy.value}"
        why = f": {column.reason}" if column.reason else ""
        counts = ""
        if column.role is ColumnRole.QUASI and column.weight != 1:
            counts = f", counts {column.weight:g} times"
        lines.append(f"{name}: {column.role.value}{tree}{counts}{why}")
    for name, rows in missing_cells(outcome.coded).items():
        lines.append(f"{name}: {rows:,} rows have no value, which counts as a value of its own")
    return [*lines, *outcome.remarks]


def _is_nothing_left(assessment: Assessment) -> bool:
    """Whether all is hidden of every quasi-identifier that has more than one value."""
    coded = assessment.outcome.coded
    lost = [
        one.ncp >= _ALL_LOST
        for one, codes in zip(assessment.utility.columns, coded.codes, strict=True)
        if codes.min() < codes.max()
    ]
    return bool(lost) and all(lost)


def summary(assessment: Assessment) -> list[str]:
    """What was done and what came of it, a line each."""
    outcome, before, after = assessment.outcome, assessment.before, assessment.after
    proof, utility = outcome.proof, assessment.utility
    lines = [
        (
            f"{proof.rows:,} of {outcome.coded.rows:,} rows in {proof.groups:,} groups of at least "
            f"{proof.smallest}; {outcome.suppressed:,} rows suppressed; counted again and right"
        ),
        f"rows that stand alone: {before.unique:.2%} before, {after.unique:.2%} after",
        (
            "found by somebody who knows them to be in it, at most: "
            f"{before.highest:.2%} before, {after.highest:.2%} after; on average "
            f"{before.average:.2%} before, {after.average:.2%} after"
        ),
        (
            f"an intruder with {assessment.after_attack.targets:,} people's values names "
            f"{assessment.before_attack.expected_hits:.2%} of them before, "
            f"{assessment.after_attack.expected_hits:.2%} after"
        ),
        f"information lost (GCP): {utility.gcp:.3f}; by bits: {utility.entropy:.3f}",
    ]
    lines += promises(outcome.recipe, proof)
    found = outcome.found
    if found is not None:
        state = "proven the least possible" if found.is_optimal else (
            f"stopped early: no table loses less than {found.bound:.3f}")  # fmt: skip
        lines.append(
            f"loss {found.loss:.3f} ({outcome.recipe.method.measure.value}), {state}; "
            f"{found.checked:,} of {found.size:,} tables counted"
        )
    if _is_nothing_left(assessment):
        lines.append(
            "nothing is left of the quasi-identifiers: name fewer of them, allow more suppression, "
            "or ask for less"
        )
    if assessment.local is not None and assessment.local.gcp < utility.gcp:
        lines.append(
            f"--method local would lose {assessment.local.gcp:.3f} instead of {utility.gcp:.3f}: "
            "each group gets ranges of its own, so the same value is written differently in "
            "different rows"
        )
    elif outcome.recipe.method.recoding is Recoding.LOCAL:
        lines.append("each group has ranges of its own; --method global gives one level a column")
    lines += [
        f"a model guesses `{one.target}` right in {one.before:.1%} before, {one.after:.1%} after "
        f"(always the commonest: {one.baseline:.1%})"
        for one in assessment.models
    ]
    for words, one in (("before", assessment.before_population),
                       ("after", assessment.after_population)):  # fmt: skip
        if one is not None:
            shares = {"pitman": one.pitman, "zayatz": one.zayatz,
                      "slide_negative_binomial": one.slide_negative_binomial}  # fmt: skip
            share = shares.get(one.chosen, one.unique_in_sample)
            lines.append(f"alone in the population too, {words}: {share:.2%} ({one.chosen})")
    return lines
