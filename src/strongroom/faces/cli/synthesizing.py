"""`strongroom synthesize`: a made-up table with differential privacy; without a server."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet

from strongroom.engines.privacy.dp.synthetic.mst import synthesize
from strongroom.engines.privacy.dp.synthetic.quality import Quality, quality
from strongroom.engines.privacy.dp.training.domain import MAX_CHARACTERS, parse_domain
from strongroom.errors import UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_free
from strongroom.faces.cli.study import StudyOptions, small_text
from strongroom.faces.cli.training import whole_table


def run_synthesize(
    path: str, to: Path, domain_file: Path, study: StudyOptions,
    *, epsilon: float, delta: float, subject: str, rows: int, report: bool, force: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Make up a table, and where asked compare it with the real one."""
    if to.suffix not in (".csv", ".parquet"):
        raise UsageError("the output ends in .csv or .parquet")
    if rows > 1 and not subject:
        raise UsageError("--rows counts the rows of a person", next_step="name the --subject")
    domain = parse_domain(small_text(domain_file, MAX_CHARACTERS))
    require_free(to, force=force)
    with ending_cleanly():
        real = whole_table(path, study)
        with output.working("making up"):
            made = synthesize(
                real, domain, epsilon, delta, subject=subject, rows_each=rows,
                generator=np.random.default_rng(),
            )  # fmt: skip
        with draft(to, force=force) as file:
            if to.suffix == ".csv":
                pyarrow.csv.write_csv(made.table, file)
            else:
                pyarrow.parquet.write_table(made.table, file)
        found = quality(made.table, real, domain) if report else None
    unit = f"a person, as `{subject}` tells them" if subject else "a row"
    if as_json:
        shown = {
            "rows": made.table.num_rows, "epsilon": epsilon, "delta": delta, "unit": unit,
            "rows of one unit at most": rows, "mechanism": "MST (mbi)", "rho": made.rho,
            "cost": made.cost.to_json(), "tree": [list(edge) for edge in made.tree],
        }  # fmt: skip
        output.data(shown | ({} if found is None else {"quality": asdict(found)}), as_json=True)
        return
    if found is not None:
        output.data(_figures(found), as_json=False)
        output.words("these figures look at the real rows: they are for those who may see them")
    output.words(f"epsilon {epsilon:g} at delta {delta:g} for {output.clean(unit)}")
    output.words(f"wrote {made.table.num_rows:,} made-up rows to {to}")


def _figures(found: Quality) -> list[dict[str, object]]:
    worst = max(found.columns, key=lambda name: found.columns[name])
    rows: list[dict[str, object]] = [
        {"figure": "distance of columns, worst", "value": f"{found.columns[worst]:.3f} ({worst})"},
        {"figure": "distance of pairs, mean", "value": f"{found.pairs[0]:.3f}"},
        {"figure": "distance of pairs, worst", "value": f"{found.pairs[1]:.3f}"},
        {"figure": "rows that also exist", "value": f"{found.copies:.1%}"},
        {"figure": "the same among real halves", "value": f"{found.copies_real:.1%}"},
    ]
    if found.auc is not None and found.auc_real is not None:
        rows.append({"figure": "AUC on real rows", "value": f"{found.auc:.3f}"})
        rows.append({"figure": "AUC of real rows", "value": f"{found.auc_real:.3f}"})
    return rows
