"""Findings for tests: of a table in which values are planted that no report may show."""

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    Evidence,
    QuasiIdentifier,
    Role,
    SampleGuarantee,
    Shape,
    TableFindings,
    TypeInside,
)


def finding(
    column: str,
    type_name: str | None = None,
    role: Role = Role.PLAIN,
    confidence: float = 0.9,
    shape: Shape = Shape.SHORT_TEXT,
    inside: tuple[TypeInside, ...] = (),
) -> ColumnFinding:
    """One finding over 100 rows, 60 of them with a value of their own."""
    return ColumnFinding(
        column, type_name, role, confidence if type_name else 0.0,
        (Evidence("values", "values have the form", 0.97),),
        ColumnProfile("string", shape, 100, 5, 80, 60, 8.0), inside=inside,
    )  # fmt: skip


def findings(
    *columns: ColumnFinding,
    sets: tuple[QuasiIdentifier, ...] = (),
    seen: int = 100,
    sampled: int = 100,
) -> TableFindings:
    """Findings of a table of `seen` rows, of which `sampled` were looked at."""
    whole = seen == sampled
    guarantee = SampleGuarantee(seen, sampled, 0.0 if whole else 0.0451, 0.0 if whole else 0.01)
    return TableFindings(columns, sets, guarantee)


def people(rows: int = 60) -> pa.Table:
    """A table of made-up people; its values must be found nowhere else."""
    return pa.table(
        {
            "name": [f"Zebulon Quixley{chr(65 + at % 26)}" for at in range(rows)],
            "email": [f"zq{at}@planted.example" for at in range(rows)],
            "ssn": [f"{212 + at}-{10 + at % 80}-{4821 + at}" for at in range(rows)],
            "postcode": [f"{90210 + at * 7}" for at in range(rows)],
            "visits": [at % 5 for at in range(rows)],
        }
    )
