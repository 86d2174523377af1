"""Fits the confidences of discovery on the labelled tables of `tune`, and measures them on `hold`.

`python -m benchmarks.calibrating` writes `engines/privacy/discover/calibration.py` and prints the
reliability table of docs/privacy.md. Needs `mimesis` and `names` beside the product.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

import strongroom.engines.privacy.discover as discover
from benchmarks.labelled_columns import libraries
from benchmarks.labelled_tables import tables
from strongroom.engines.privacy.discover import calibration
from strongroom.engines.privacy.discover.columns import weigh_column
from strongroom.engines.privacy.discover.confidence import MOST
from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.rulebook import rulebook

TABLES = 80
_POINTS = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.99])
_NEAR, _DOUBT = 0.05, 10.0


def scored(split: str) -> list[tuple[str, float, bool]]:
    """Basis, raw score and rightness of the best type of each column that has one."""
    book = rulebook()
    found = []
    for made in tables(split, TABLES):
        for name in made.table.column_names:
            weighed = weigh_column(sample_column(name, made.table.column(name)), book)
            if weighed:
                best = weighed[0]
                label = made.labels.get(name)
                is_right = best.type == label or (label is None and best.type in PLAIN)
                found.append((best.basis, best.score, is_right))
    return found


PLAIN = frozenset(
    {"article_number", "uuid", "digest", "bic", "br_cnpj", "date", "year_of_birth", "country"}
)
"""Types that say nothing about a person, or of which the traps really are: not wrong there."""


def fitted(cases: list[tuple[str, float, bool]]) -> dict[str, list[tuple[float, float]]]:
    """Points of a rising curve from raw score to the share that was right, by basis.

    Isotonic regression where there are cases; the fewer there are near a point, the more of the
    raw score itself stays in it, as if `_DOUBT` more cases had been right as often as it says.
    """
    by_basis: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for basis, score, is_right in cases:
        by_basis[basis].append((score, is_right))
        by_basis["any"].append((score, is_right))
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
        f"{TABLES} tables of the split `tune`; sources: {', '.join(libraries())}.",
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


def report(cases: list[tuple[str, float, bool]]) -> None:
    """Claimed confidence against the share that was right."""
    from strongroom.engines.privacy.discover.confidence import calibrated

    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for basis, score, is_right in cases:
        confidence = calibrated(basis, score)
        bins[min(9, int(confidence * 10))].append((confidence, is_right))
    total = sum(len(pairs) for pairs in bins.values())
    error = 0.0
    print("| confidence | columns | mean confidence | right |\n|---|---|---|---|")
    for at in sorted(bins, reverse=True):
        claimed = float(np.mean([pair[0] for pair in bins[at]]))
        right = float(np.mean([pair[1] for pair in bins[at]]))
        error += abs(claimed - right) * len(bins[at]) / total
        band = f"{at / 10:.1f} to {at / 10 + 0.1:.1f}"
        print(f"| {band} | {len(bins[at])} | {claimed:.3f} | {right:.3f} |")
    print(f"expected calibration error {error:.3f} over {total} columns")


def main() -> None:
    """Fit, write, and measure on the other split; `--measure` only measures."""
    if "--measure" not in sys.argv:
        cases = scored("tune")
        write(fitted(cases), len(cases))
        import importlib

        importlib.reload(calibration)
    report(scored("hold"))


if __name__ == "__main__":
    main()
