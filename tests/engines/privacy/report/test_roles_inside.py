"""A type of one's own keeps its role also where it stands inside texts."""

import pyarrow as pa
from tests.engines.privacy.report.planted import finding

from strongroom.engines.privacy.discover.custom import parse_custom_types
from strongroom.engines.privacy.discover.findings import Role, Shape, TypeInside
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.discover.text.finder import text_finder
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, Report, TableReport
from strongroom.engines.privacy.report.document import report_json

OWN = parse_custom_types("""
[lamp_code]
pattern = 'QX-\\d{3}'
role = "quasi"
""")
TEXTS = [f"The lamp QX-{at:03} was mended in the morning." for at in range(100, 140)]


def test_the_role_is_that_of_the_type() -> None:
    findings = discover_table(
        pa.table({"note": TEXTS}), custom=OWN, finder=text_finder(model=False, custom=OWN)
    )
    column = findings.columns[0]
    assert {one.type: one.role for one in column.inside} == {"lamp_code": Role.QUASI}
    assert wording.role_of_column(column) is Role.QUASI
    assert wording.types_of(column, {}) == [("lamp code", Role.QUASI)]
    report = Report("t", (FileReport("t.csv", "csv", (TableReport("", findings),)),))
    shown = report_json(report)["files"][0]["tables"][0]["columns"][0]
    assert (shown["role"], shown["inside"][0]["role"]) == ("quasi", "quasi")


def test_findings_of_an_older_version_have_the_roles_of_built_in_types() -> None:
    column = finding("note", shape=Shape.FREE_TEXT, inside=(
        TypeInside("city", 0.5, 5), TypeInside("email", 0.5, 5), TypeInside("unheard_of", 0.5, 5),
    ))  # fmt: skip
    assert wording.roles_inside(column) == {
        "city": Role.QUASI, "email": Role.DIRECT, "unheard_of": Role.DIRECT,
    }  # fmt: skip
