"""Before and after as one HTML page: no script, nothing loaded, everything escaped, no value."""

import hashlib
from base64 import b64encode
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strongroom.engines.privacy.anonymize.assessing import Assessment
from strongroom.engines.privacy.anonymize.document import choices, summary
from strongroom.engines.privacy.report import drawing, wording

_HERE = Path(__file__).parent
_SHEETS = Path(drawing.__file__).parent
_CSS = "\n".join(
    ["", *((_SHEETS / name).read_text(encoding="utf-8") for name in ("page.css", "drawing.css"))]
)


def _policy() -> str:
    """The page's own policy: its one style sheet by its hash, and nothing else."""
    digest = b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        percent=lambda share: f"{share:.2%}",
        shown=wording.shown_name,
        path=lambda text: wording.clean(text, wording.MAX_PATH),
    )
    return environment


def page(assessment: Assessment, *, title: str, made: str = "") -> str:
    """The page.

    Args:
        title: of the table, such as the name of its file.
        made: when and by what it was made, in words; the engine has no clock.
    """
    before, after, utility = assessment.before, assessment.after, assessment.utility
    outcome = assessment.outcome
    levels = outcome.found.node if outcome.found is not None else None
    columns = [
        {
            "name": one.column, "ncp": one.ncp, "entropy": one.entropy,
            "level": f"{levels[at]} of {outcome.coded.hierarchies[at].height}" if levels else "own",
        }
        for at, one in enumerate(utility.columns)
    ]  # fmt: skip
    bars = [
        drawing.Bar(wording.shown_name(one.column), one.ncp, "quasi", f"{one.ncp:.1%} lost")
        for one in utility.columns
    ]
    context = {
        "title": title,
        "made": made,
        "css": Markup(_CSS),  # noqa: S704 # our own files
        "policy": _policy(),
        "inks": drawing.inks(),
        "verdict": summary(assessment)[0],
        "tiles": [
            (
                f"{outcome.proof.smallest}",
                "rows in the smallest group",
                "counted in what is written",
            ),
            (f"{after.highest:.1%}", "highest risk", f"{before.highest:.0%} before"),
            (f"{utility.gcp:.1%}", "information lost", "mean over cells (GCP)"),
            (f"{outcome.suppressed:,}", "rows suppressed", f"of {outcome.coded.rows:,}"),
        ],
        "before": before,
        "after": after,
        "alone_before": drawing.people(before.unique, "Rows that stand alone before"),
        "alone_after": drawing.people(after.unique, "Rows that stand alone after"),
        "risks": _risks(assessment),
        "losses": drawing.columns_picture(bars),
        "columns": columns,
        "lines": summary(assessment)[1:],
        "choices": choices(assessment),
    }
    return _environment().get_template("page.html").render(context)


def _risks(assessment: Assessment) -> list[tuple[str, float, float]]:
    before, after = assessment.before, assessment.after
    first, second = assessment.before_attack, assessment.after_attack
    rows = [
        ("knows that a person is in it (prosecutor): at most", before.highest, after.highest),
        ("the same, on average; also who wants as many as possible (marketer)",
         before.average, after.average),
        ("rows in groups smaller than k", before.at_risk, after.at_risk),
        (f"tried out: {second.targets:,} people looked up, hits expected",
         first.expected_hits, second.expected_hits),
    ]  # fmt: skip
    if assessment.outcome.people is not None:
        rows.append(
            ("looks for people of the population (journalist): at most",
             before.journalist_highest, after.journalist_highest),
        )  # fmt: skip
    rows += [
        (f"tried out: `{wording.shown_name(name)}` is certain", was, told)
        for (name, was), (_, told) in zip(first.told, second.told, strict=True)
    ]
    if assessment.before_population is not None and assessment.after_population is not None:
        one, two = assessment.before_population, assessment.after_population
        rows += [
            ("alone in the population too (Pitman)", one.pitman, two.pitman),
            ("the same (Zayatz)", one.zayatz, two.zayatz),
            ("the same (slide negative binomial)", one.slide_negative_binomial,
             two.slide_negative_binomial),
        ]  # fmt: skip
    return rows
